//! Listens, and hands requests to whatever is served at the moment: that may change while connections stay open.
//!
//! A connection is bounded in everything that whoever is at its other end could draw out: how many there are, how long a
//! handshake and the head of a request take. What comes after the head is bounded where it is read. When the agent is
//! asked to end, requests under way are answered first.

use std::{future::pending, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::Service as _, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{Address, Tls};
use crate::export::FileError;

/// Connections that are open at once; more wait to be taken.
const MOST_CONNECTIONS: usize = 1000;
/// How long the head of a request may take, from the moment in which one may begin.
const LONGEST_HEAD: Duration = Duration::from_secs(20);
/// How long a handshake may take.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests under way may take at the most when the agent is asked to end.
const LONGEST_GOODBYE: Duration = Duration::from_secs(20);
/// Before a connection is taken again where the system has refused to.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

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
    listening: Vec<Listening>,
    tasks: JoinSet<()>,
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
    let_go: watch::Sender<bool>,
}

impl Server {
    /// Listens where it is said, and serves what there is before all is there: that it listens is told with the first
    /// change.
    ///
    /// # Errors
    /// Where an address cannot be listened on.
    pub async fn open(waiting: Served) -> anyhow::Result<Self> {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let first = watch::Sender::new(waiting.clone());
        let mut server = Self { served: first, listening: Vec::new(), tasks: JoinSet::new(), places };
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
                bound.push((*address, bind(address.socket).await?));
            }
        }
        self.listening.retain(|listening| {
            let stays = served.addresses.contains(&listening.address);
            listening.let_go.send_replace(!stays);
            stays
        });
        self.served.send_replace(served);
        for (address, listener) in bound {
            let bound = Address { socket: listener.local_addr()?, ..address };
            let (let_go, told) = watch::channel(false);
            self.listening.push(Listening { address, bound, is_told: false, let_go });
            self.tasks.spawn(listen(listener, address.is_https, self.served.subscribe(), self.places.clone(), told));
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
            listening.let_go.send_replace(true);
        }
        let goodbye = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within.min(LONGEST_GOODBYE), goodbye).await.is_err() {
            tracing::warn!("ended while requests were under way");
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (why, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => {
                ("another program listens there", "end it, or choose another port in `Web:Urls`")
            }
            io::ErrorKind::AddrNotAvailable => ("this machine has no such address", "correct `Web:Urls`"),
            io::ErrorKind::PermissionDenied => {
                ("this account may not", "choose a port from 1024 on in `Web:Urls`, or give it CAP_NET_BIND_SERVICE")
            }
            _ => ("the system refuses", "choose another address in `Web:Urls`"),
        };
        anyhow::Error::new(error).context(FileError::busy(format!("cannot listen on `{address}`: {why}"), hint))
    })
}

/// Takes connections until it is told to let go of the address, then lets those there are come to their end.
async fn listen(
    listener: TcpListener,
    is_https: bool,
    served: watch::Receiver<Served>,
    places: Arc<Semaphore>,
    told: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut let_go = pin!(until(told.clone()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut let_go => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let talk = converse(stream, peer, is_https, served.clone(), told.clone());
                connections.spawn(async move {
                    talk.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a connection cannot be taken: {error}");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are small: they need not wait for one another.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    is_https: bool,
    served: watch::Receiver<Served>,
    told: watch::Receiver<bool>,
) {
    if !is_https {
        return answer_all(stream, peer, served, told).await;
    }
    let tls = served.borrow().tls.clone();
    let Some(tls) = tls else { return };
    match tokio::time::timeout(LONGEST_HANDSHAKE, tls.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => answer_all(stream, peer, served, told).await,
        Ok(Err(error)) => tracing::debug!(%peer, "a handshake failed: {error}"),
        Err(_) => tracing::debug!(%peer, "a handshake took too long"),
    }
}

async fn answer_all(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    served: watch::Receiver<Served>,
    told: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = TowerToHyperService::new(served.borrow().router.clone());
        async move { router.call(request).await }
    });
    let mut builder = http1::Builder::new();
    let builder = builder.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until(told) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, "a connection broke off: {error}");
    }
}

/// Comes when it is told; never where nobody can tell any more.
async fn until(mut told: watch::Receiver<bool>) {
    if told.wait_for(|told| *told).await.is_err() {
        pending::<()>().await;
    }
}
