//! Listens, and hands requests to whatever is served at the moment: that may change while connections stay open.
//!
//! A connection is bounded in everything that whoever is at its other end could draw out: how many there are, how long a
//! handshake and the head of a request take. What comes after the head is bounded where it is read. When the agent is
//! asked to end, requests under way are answered first.

use std::{convert::Infallible, future::ready, io, sync::Arc, time::Duration};

use axum::{Router, http::Request};
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::{ServiceExt, service_fn};

use super::{
    Address, Tls,
    door::{Door, Peer},
};

/// Connections that are open at once; more wait to be taken.
const MOST_CONNECTIONS: usize = 1000;
/// How long the head of a request may take, from the moment in which one may begin.
const LONGEST_HEAD: Duration = Duration::from_secs(20);
/// How long a handshake may take.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests under way may take at the most when the agent is asked to end.
const LONGEST_GOODBYE: Duration = Duration::from_secs(20);

/// What is served, and where.
#[derive(Clone)]
pub struct Served {
    /// Where.
    pub addresses: Vec<Address>,
    /// What TLS is spoken with where it is.
    pub tls: Option<Tls>,
    /// What.
    pub router: Router,
}

/// Everything that listens.
pub struct Server {
    served: watch::Sender<Served>,
    /// What TLS is spoken with at every address of https.
    tls: Option<RustlsConfig>,
    listening: Vec<Listening>,
    tasks: JoinSet<io::Result<()>>,
    places: Arc<Semaphore>,
}

/// One address that is listened on, until this is told to let go.
struct Listening {
    /// As the settings say it.
    address: Address,
    /// With the port that it has in truth.
    bound: Address,
    /// Whether it was told in the log.
    is_told: bool,
    handle: Handle<Peer>,
}

/// Breaks off what is under way at an address when nobody waits for it any more.
struct BreakOff(Handle<Peer>);

impl Server {
    /// Listens where it is said, and serves what there is before all is there: that it listens is told with the first
    /// change.
    ///
    /// # Errors
    /// Where an address cannot be listened on.
    pub async fn open(waiting: Served) -> anyhow::Result<Self> {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let served = watch::Sender::new(waiting.clone());
        let mut server = Self { served, tls: None, listening: Vec::new(), tasks: JoinSet::new(), places };
        server.serve(waiting).await?;
        Ok(server)
    }

    /// Serves this from the next request on. An address that stays goes on being listened on.
    ///
    /// # Errors
    /// Where an address cannot be listened on; then nothing changes.
    pub async fn change(&mut self, served: Served) -> anyhow::Result<()> {
        self.serve(served).await?;
        for listening in self.listening.iter_mut().filter(|listening| !listening.is_told) {
            // The words that operators of the vendor's agent wait for.
            tracing::info!("Now listening on: {}", listening.bound);
            listening.is_told = true;
        }
        Ok(())
    }

    async fn serve(&mut self, served: Served) -> anyhow::Result<()> {
        let mut bound = Vec::new();
        for address in &served.addresses {
            if !self.listening.iter().any(|listening| listening.address == *address) {
                let door = Door::open(address.socket, self.places.clone()).await?;
                bound.push((*address, door.address()?, door));
            }
        }
        for gone in self.listening.extract_if(.., |listening| !served.addresses.contains(&listening.address)) {
            gone.handle.graceful_shutdown(None);
        }
        match (&self.tls, &served.tls) {
            (Some(tls), Some(new)) => tls.reload_from_config(new.config.clone()),
            (_, new) => self.tls = new.as_ref().map(|new| RustlsConfig::from_config(new.config.clone())),
        }
        self.served.send_replace(served);
        for (address, socket, door) in bound {
            let (handle, served) = (Handle::new(), self.served.subscribe());
            let tls = address.is_https.then(|| self.tls.clone().expect("https is served with a certificate"));
            self.tasks.spawn(listen(door, tls, served, handle.clone()));
            self.listening.push(Listening { address, bound: Address { socket, ..address }, is_told: false, handle });
        }
        Ok(())
    }

    /// Where it listens in truth, at the first of the addresses that are said.
    pub fn address(&self) -> Option<Address> {
        let first = *self.served.borrow().addresses.first()?;
        self.listening.iter().find(|listening| listening.address == first).map(|listening| listening.bound)
    }

    /// Takes no more connections, and lets those there are come to their end within this time, 20 s at the most.
    pub async fn end(mut self, within: Duration) {
        for listening in &self.listening {
            listening.handle.graceful_shutdown(None);
        }
        let goodbye = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within.min(LONGEST_GOODBYE), goodbye).await.is_err() {
            tracing::warn!("ended while requests were under way");
            self.tasks.shutdown().await;
        }
    }
}

impl Drop for BreakOff {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// Takes connections until it is told to let go of the address, then lets those there are come to their end.
async fn listen(
    door: Door,
    tls: Option<RustlsConfig>,
    served: watch::Receiver<Served>,
    handle: Handle<Peer>,
) -> io::Result<()> {
    let _what_is_left = BreakOff(handle.clone());
    let mut server =
        axum_server::Server::from_listener(door).handle(handle).accept_error_handler(|peer: Option<&Peer>, error| {
            if let Some(peer) = peer {
                tracing::debug!(peer = %peer.info().0, "a handshake failed: {error}");
            }
        });
    server.http_builder().http1().header_read_timeout(LONGEST_HEAD);
    let answers = service_fn(move |peer: Peer| {
        let served = served.clone();
        // This holds the peer, and with it the place, as long as the connection lasts.
        ready(Ok::<_, Infallible>(service_fn(move |mut request: Request<_>| {
            request.extensions_mut().insert(peer.info());
            served.borrow().router.clone().oneshot(request)
        })))
    });
    // Answers are small: they need not wait for one another.
    let plain = NoDelayAcceptor::new();
    match tls {
        None => server.acceptor(plain).http1_only().serve(answers).await,
        Some(tls) => {
            let acceptor = RustlsAcceptor::new(tls).handshake_timeout(LONGEST_HANDSHAKE).acceptor(plain);
            server.acceptor(acceptor).http1_only().serve(answers).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use axum::{extract::ConnectInfo, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        time::timeout,
    };

    use super::*;

    /// Serves this to one connection at once.
    async fn serving(router: Router) -> Server {
        let (served, places) = (watch::Sender::new(at_any_port(Router::new())), Arc::new(Semaphore::new(1)));
        let mut server = Server { served, tls: None, listening: Vec::new(), tasks: JoinSet::new(), places };
        server.change(at_any_port(router)).await.unwrap();
        server
    }

    fn at_any_port(router: Router) -> Served {
        let address = Address { socket: SocketAddr::from(([127, 0, 0, 1], 0)), is_https: false };
        Served { addresses: vec![address], tls: None, router }
    }

    async fn connect(server: &Server) -> TcpStream {
        TcpStream::connect(server.address().unwrap().socket).await.unwrap()
    }

    async fn say(stream: &mut TcpStream) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    }

    /// What is read next; nothing where the other end has closed.
    async fn read(stream: &mut TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        let _ = timeout(LONGEST_GOODBYE, stream.read_buf(&mut read)).await.expect("it comes in time");
        read
    }

    /// The body of an answer that ends with a full stop.
    async fn heard(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b".") {
            let more = read(stream).await;
            assert!(!more.is_empty(), "the other end closed");
            answer.extend(more);
        }
        String::from_utf8(answer).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn whoever_finds_no_place_is_served_when_one_comes_free() {
        let count = Arc::new(AtomicUsize::new(0));
        let answer = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
            ready(format!("{peer} {}.", count.fetch_add(1, Ordering::Relaxed)))
        };
        let server = serving(Router::new().route("/", get(answer))).await;
        let (mut first, mut waits) = (connect(&server).await, connect(&server).await);
        let [first_address, waiting_address] = [&first, &waits].map(|stream| stream.local_addr().unwrap());
        say(&mut waits).await;
        for n in 0..50 {
            say(&mut first).await;
            assert_eq!(heard(&mut first).await, format!("{first_address} {n}."));
        }
        drop(first);
        assert_eq!(heard(&mut waits).await, format!("{waiting_address} 50."));
        server.end(LONGEST_GOODBYE).await;
        assert_eq!(read(&mut waits).await, b"", "a connection without a request under way is closed");
    }

    #[tokio::test]
    async fn what_is_served_changes_on_a_connection_that_is_open() {
        let mut server = serving(Router::new().route("/", get(|| ready("the first.")))).await;
        let mut open = connect(&server).await;
        say(&mut open).await;
        assert_eq!(heard(&mut open).await, "the first.");
        server.change(at_any_port(Router::new().route("/", get(|| ready("the second."))))).await.unwrap();
        say(&mut open).await;
        assert_eq!(heard(&mut open).await, "the second.");
    }

    #[tokio::test]
    async fn a_request_without_end_is_broken_off_at_the_end_even_where_its_address_is_gone() {
        let begun = Arc::new(Notify::new());
        let tell = begun.clone();
        let endless = move || async move {
            tell.notify_one();
            pending::<()>().await;
        };
        let mut server = serving(Router::new().route("/", get(endless))).await;
        let mut open = connect(&server).await;
        say(&mut open).await;
        begun.notified().await;
        let nowhere = Served { addresses: Vec::new(), ..at_any_port(Router::new()) };
        server.change(nowhere).await.unwrap();
        server.end(Duration::ZERO).await;
        assert_eq!(read(&mut open).await, b"", "nobody answers it any more");
    }
}
