//! A directory behind a port: what a host does for the protocol, in its smallest form.
//!
//! Checks the bearer token, takes the base path off, and hands the rest on.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use hyper::{
    Request, Response, Uri,
    body::Incoming,
    header::AUTHORIZATION,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use scim_server::{Body, Directory, Error, ResourceStore};
use tokio::net::TcpListener;

/// The path below which the directory lies.
pub(crate) const BASE_PATH: &str = "/scim/v2/demo";

/// The token that opens it.
pub(crate) const TOKEN: &str = "s3cret";

/// Serves until the listener is dropped with its task.
pub(crate) async fn serve(listener: TcpListener, store: Arc<dyn ResourceStore>, directory: Directory) {
    let directory = Arc::new(directory);
    while let Ok((stream, _)) = listener.accept().await {
        let (store, directory) = (Arc::clone(&store), Arc::clone(&directory));
        let service = service_fn(move |request| {
            let (store, directory) = (Arc::clone(&store), Arc::clone(&directory));
            async move { Ok::<_, Infallible>(respond(store, &directory, request).await) }
        });
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle harms nobody.
            let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The directory's address on this port.
pub(crate) fn base_url(address: SocketAddr) -> String {
    format!("http://{address}{BASE_PATH}")
}

async fn respond(
    store: Arc<dyn ResourceStore>,
    directory: &Directory,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token.and_then(|token| token.strip_prefix("Bearer ")) != Some(TOKEN) {
        let detail = "the token is not this directory's; copy it again";
        return Error::unauthorized("Bearer realm=\"SCIM\"", detail).into_response();
    }
    let below = request.uri().path_and_query().and_then(|path| path.as_str().strip_prefix(BASE_PATH));
    // Without its leading slash a query would be no path.
    let below = below.map(|path| if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
    let Some(uri) = below.and_then(|path| path.parse::<Uri>().ok()) else {
        return Error::not_found("there is no such directory").into_response();
    };
    *request.uri_mut() = uri;
    scim_server::answer(store, directory, request).await
}
