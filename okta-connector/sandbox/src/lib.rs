#![doc = include_str!("../README.md")]

mod access;
mod answer;
mod app;
mod clock;
mod cursor;
mod direct;
mod effect;
mod error;
mod faults;
mod group;
mod ids;
mod journal;
mod limits;
mod log;
mod login;
mod oauth;
mod org;
mod payload;
mod principal;
mod profile;
mod raw;
mod roles;
mod routes;
mod rules;
mod schema;
mod search;
mod seed;
mod seed_file;
mod server;
mod table;
mod template;
mod tokens;
mod user;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

pub use clock::Clock;
pub use faults::{Fault, FaultAction, FaultMatch};
pub use journal::Exchange;
pub use limits::Limits;
pub use oauth::{KeyPair, ServiceApp, WebApp};
pub use org::{Counts, Org};
pub use seed::{Members, Seed};
pub use user::Status;

use crate::journal::Journal;
use crate::limits::Buckets;
use crate::server::{Shared, lock};

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// 0 takes any free port.
    pub port: u16,
    pub seed: Seed,
    pub limits: Limits,
    /// The share of each bucket the token has; 50 is what a new Okta token gets.
    pub share_percent: u8,
    /// Limits set exactly, by bucket name; no share is taken off.
    pub bucket_limits: BTreeMap<String, u32>,
    /// How many requests may be in flight; none leaves it to the plan.
    pub concurrent: Option<usize>,
    /// How long every answer takes at least.
    pub latency: Duration,
    pub token: String,
    pub journal_file: Option<PathBuf>,
    /// The length of a rate-limit window.
    pub window: Duration,
    /// How far `Date` and the reset times are ahead of the clock.
    pub skew_seconds: i64,
    /// How long member lists, `search` and `filter` show the old state after a change.
    pub consistency_lag: Duration,
    pub clock: Clock,
    /// Whether answers are compressed when the caller accepts gzip.
    pub gzip: bool,
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            port: 0,
            seed: Seed::default(),
            limits: Limits::Unlimited,
            share_percent: 50,
            bucket_limits: BTreeMap::new(),
            concurrent: None,
            latency: Duration::ZERO,
            token: "sandbox-token".to_owned(),
            journal_file: None,
            window: Duration::from_secs(60),
            skew_seconds: 0,
            consistency_lag: Duration::ZERO,
            clock: Clock::real(),
            gzip: false,
        }
    }
}

impl Sandbox {
    /// Seeds an organisation and serves it on loopback, on the runtime of the caller.
    pub async fn start(config: SandboxConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let now = config.clock.now_millis();
        let lag = clock::millis(config.consistency_lag);
        let mut org = Org::new(&base, lag, config.seed.random, config.clock.clone());
        config.seed.plant(&mut org).map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
        org.add_token(&config.token, "Sandbox token", "");
        let share = u32::from(config.share_percent);
        org.set_share(&config.token, share);
        let window = clock::millis(config.window);
        let shared = Arc::new(Shared {
            base,
            clock: config.clock,
            skew: config.skew_seconds * 1000,
            latency: config.latency,
            gzip: config.gzip,
            share,
            concurrent: config.concurrent.or(config.limits.concurrent(config.share_percent)),
            org: RwLock::new(org),
            buckets: Mutex::new(Buckets::new(config.limits, config.bucket_limits, window)),
            faults: Mutex::default(),
            journal: Journal::new(config.journal_file.as_deref())?,
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(now.unsigned_abs()),
        });
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self { shared, token: config.token, stop: Some(stop), running: Some(running) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.shared.base.clone()
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// What was asked and answered so far.
    pub fn journal(&self) -> Vec<Exchange> {
        self.shared.journal.all()
    }

    /// The writes that changed something, in the order they did, whether or not their answer arrived.
    pub fn effects(&self) -> Vec<Exchange> {
        self.shared.journal.all().into_iter().filter(|exchange| exchange.changed).collect()
    }

    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    pub fn add_fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How many requests faults have struck.
    pub fn faults_hit(&self) -> usize {
        lock(&self.shared.faults).hit
    }

    /// Asks or changes the organisation while no request is being answered.
    pub fn with_org<T>(&self, change: impl FnOnce(&mut Org) -> T) -> T {
        change(&mut self.shared.org.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The most requests there were in flight at once.
    pub fn max_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Closes the listener and all connections.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            // An accept loop that panicked has stopped as well.
            let _ = running.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of descriptors, most likely: connections that end will free some.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                // Pages leave in one write; waiting to fill a packet would only add delay.
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| server::serve(Arc::clone(&shared), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => return,
        }
    }
}
