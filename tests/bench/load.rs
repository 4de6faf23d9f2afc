//! A client of HTTP/1.1 that costs little itself: ready-made requests on connections that are kept, one task each.
//!
//! It shares the machine's processors with the server it measures, so the figures say what both can do together.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Connections that ask at once.
pub(crate) const CONNECTIONS: usize = 16;

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// The lines of every request that do not change.
    headers: String,
}

/// What is asked.
pub(crate) struct Ask {
    pub method: &'static str,
    pub path: String,
    pub body: Option<String>,
    /// What is to come.
    pub status: u16,
}

/// How many were asked, and how long each took.
pub(crate) struct Load {
    pub seconds: f64,
    latencies: Vec<Duration>,
}

impl Connection {
    pub(crate) async fn open(address: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let headers = format!(
            "host: {address}\r\nauthorization: Bearer {token}\r\naccept: application/scim+json\r\n\
             user-agent: bench\r\n"
        );
        Ok(Self { stream, received: Vec::with_capacity(64 << 10), headers })
    }

    /// Asks, and checks the status; the body.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> anyhow::Result<&[u8]> {
        let mut request = format!("{} {} HTTP/1.1\r\n{}", ask.method, ask.path, self.headers);
        match &ask.body {
            Some(body) => request.push_str(&format!(
                "content-type: application/scim+json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )),
            None => request.push_str("\r\n"),
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        let (status, head, length) = loop {
            ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the server hung up");
            if let Some(head) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = std::str::from_utf8(&self.received[..head])?;
                let status: u16 = text.split(' ').nth(1).context("a status")?.parse()?;
                let length = text.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
                });
                break (status, head + 4, length.unwrap_or(0));
            }
        };
        while self.received.len() < head + length {
            ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the server hung up");
        }
        let body = &self.received[head..head + length];
        if status != ask.status {
            bail!("`{} {}` is answered {status}: {}", ask.method, ask.path, String::from_utf8_lossy(body));
        }
        Ok(body)
    }
}

/// Asks on a connection of its own for more than should be kept; how many bytes came.
pub(crate) async fn swallow(address: &str, token: &str, path: &str) -> anyhow::Result<usize> {
    let Connection { mut stream, mut received, headers } = Connection::open(address, token).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n").as_bytes()).await?;
    let (mut bytes, mut start, mut end) = (0, Vec::new(), Vec::new());
    while stream.read_buf(&mut received).await? > 0 {
        bytes += received.len();
        if start.is_empty() {
            start = received[..received.len().min(12)].to_vec();
        }
        end.extend_from_slice(&received);
        end.drain(..end.len().saturating_sub(5));
        received.clear();
    }
    ensure!(start == b"HTTP/1.1 200" && end == b"0\r\n\r\n", "`GET {path}` does not come as a whole");
    Ok(bytes)
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    /// The latency, in milliseconds, that this share of the requests stays below.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        let place = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(place.min(self.latencies.len().saturating_sub(1))).map_or(0.0, |it| it.as_secs_f64() * 1e3)
    }
}

/// Asks `asked(0)`, `asked(1)`, … on all connections at once, until there are so many or the time is over.
pub(crate) async fn load(
    connections: &mut [Connection],
    most: usize,
    longest: Duration,
    asked: impl Fn(usize) -> Ask,
) -> anyhow::Result<Load> {
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let turns = connections.iter_mut().map(|connection| {
        let (next, asked) = (&next, &asked);
        async move {
            let mut latencies = Vec::new();
            while began.elapsed() < longest {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    break;
                }
                let ask = asked(number);
                let sent = Instant::now();
                connection.ask(&ask).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        }
    });
    let mut latencies = futures::future::try_join_all(turns).await?.concat();
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Load { seconds, latencies })
}
