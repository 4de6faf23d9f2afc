//! A SCIM directory in memory on a port of its own: `cargo run -p scim-server --example scim-inbox -- 127.0.0.1:8099`.

mod memory;
mod serve;

use std::{
    error::Error,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use scim_server::Directory;
use tokio::net::TcpListener;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the reader wants the address and the token")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let listener = TcpListener::bind(&address).await?;
    let base_url = serve::base_url(listener.local_addr()?);
    println!("{base_url}\nAuthorization: Bearer {}", serve::TOKEN);
    let store = Arc::new(memory::Memory::new(now_ms));
    serve::serve(listener, store, Directory::new(base_url)).await;
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
