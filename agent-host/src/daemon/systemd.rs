//! What the agent tells systemd, or whoever else listens at `$NOTIFY_SOCKET`: that it is ready, that it is alive.
//!
//! A line of text a datagram; nobody need listen. Source: sd_notify(3).

use std::{ffi::OsStr, time::Duration};

/// The other end of `$NOTIFY_SOCKET`.
#[derive(Debug, Default)]
pub(super) struct Systemd {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
}

impl Systemd {
    /// Finds who listens there: a path, or a name in Linux's own space where it begins with `@`.
    pub(super) fn find(address: Option<&OsStr>) -> Self {
        #[cfg(unix)]
        let found = Self { socket: address.and_then(connected) };
        #[cfg(not(unix))]
        let found = {
            let _ = address;
            Self::default()
        };
        found
    }

    /// Says something, such as `READY=1`.
    pub(super) fn say(&self, state: &str) {
        #[cfg(unix)]
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::debug!("nobody hears `{state}`: {error}");
        }
        #[cfg(not(unix))]
        let _ = state;
    }

    /// Asks that a start or an end that takes so long from now on be waited for.
    pub(super) fn extend(&self, time: Duration) {
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
    }
}

#[cfg(unix)]
fn connected(address: &OsStr) -> Option<std::os::unix::net::UnixDatagram> {
    use std::os::unix::{ffi::OsStrExt, net::UnixDatagram};

    let socket = UnixDatagram::unbound().ok()?;
    // What listens and does not read must not hold us up.
    socket.set_nonblocking(true).ok()?;
    let connected = match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

            SocketAddr::from_abstract_name(name).and_then(|address| socket.connect_addr(&address))
        }
        _ => socket.connect(address),
    };
    connected.inspect_err(|error| tracing::warn!("`$NOTIFY_SOCKET` cannot be spoken to: {error}")).ok()?;
    Some(socket)
}
