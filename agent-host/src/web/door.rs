//! Where connections are taken: an address that is listened on, with places for so many connections and no more.
//!
//! Whoever comes when every place is taken waits in the system's queue, so that an overload costs callers time and the
//! agent nothing. `axum_server` asks this for connections; it has no bound of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::ConnectInfo;
use axum_server::{AddrListener, Address};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::export::FileError;

/// Before a connection is taken again where the system has refused to.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// One address that is listened on.
pub(super) struct Door {
    listener: TcpListener,
    /// Those of every door together.
    places: Arc<Semaphore>,
}

/// Who is at the other end of a connection. The connection has its place as long as this lives.
#[derive(Clone)]
pub(super) struct Peer {
    address: SocketAddr,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Door {
    /// # Errors
    /// Where the address cannot be listened on.
    pub(super) async fn open(address: SocketAddr, places: Arc<Semaphore>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let (why, hint) = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    ("another program listens there", "end it, or choose another port in `Web:Urls`")
                }
                io::ErrorKind::AddrNotAvailable => ("this machine has no such address", "correct `Web:Urls`"),
                io::ErrorKind::PermissionDenied => (
                    "this account may not",
                    "choose a port from 1024 on in `Web:Urls`, or give it CAP_NET_BIND_SERVICE",
                ),
                _ => ("the system refuses", "choose another address in `Web:Urls`"),
            };
            anyhow::Error::new(error).context(FileError::busy(format!("cannot listen on `{address}`: {why}"), hint))
        })?;
        Ok(Self { listener, places })
    }

    /// With the port that it has in truth.
    ///
    /// # Errors
    /// Where the system does not know.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Peer {
    /// As routes are told of it.
    pub(super) fn info(&self) -> ConnectInfo<SocketAddr> {
        ConnectInfo(self.address)
    }
}

impl Address for Peer {
    type Stream = TcpStream;
    type Listener = Door;
}

impl AddrListener<TcpStream, Peer> for Door {
    async fn accept_stream(&self) -> io::Result<(TcpStream, Peer)> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        match self.listener.accept().await {
            Ok((stream, address)) => Ok((stream, Peer { address, _place: Arc::new(place) })),
            Err(error) => {
                drop(place);
                tracing::warn!("a connection cannot be taken: {error}");
                tokio::time::sleep(AFTER_REFUSAL).await;
                Err(error)
            }
        }
    }

    /// A door is opened before it is served at, not here.
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no peer at this end; [`Self::address`] tells it.
    fn get_local_addr(&self) -> io::Result<Peer> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
