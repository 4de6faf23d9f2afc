//! What the agent serves by HTTP: the page behind a password link, and whether the agent is alive.
//!
//! Listens where `Web:Urls` says, on this machine alone where nothing is said. Speaks plain HTTP: whoever serves others
//! puts a proxy with a certificate before it. Requests are bounded in size and time; when the agent is asked to end, those
//! under way are answered first.

mod api;
mod patience;
mod password_page;
mod scim;
pub mod views;
mod session;
mod pages;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use connector_api::Result;
use tokio::{net::TcpListener, sync::watch};
use url::{Host, Url};

use crate::{
    agent::Agent, directories::Directories, jobs::Jobs, operators::Operators, password_reset::PasswordResets,
    settings::Settings, store::Store,
};
use patience::Patience;

/// Where it listens when nothing is said.
const DEFAULT_URL: &str = "http://127.0.0.1:6001";
/// The largest body that is read.
const MAX_BODY_BYTES: usize = 16 << 10;
/// How long one request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);
/// How long requests under way may take when the agent is asked to end.
const LONGEST_GOODBYE: Duration = Duration::from_secs(20);

/// Logs of runs that are followed at once.
const MOST_FOLLOWERS: usize = 64;

/// What the pages need.
pub struct Web {
    agent: Arc<Agent>,
    jobs: Jobs,
    resets: Arc<PasswordResets>,
    directories: Directories,
    pages: password_page::Pages,
    templates: pages::Templates,
    operators: Operators,
    is_secure: bool,
    /// Those who follow the log of a run.
    followers: Arc<tokio::sync::Semaphore>,
    patience: Patience,
    /// One plan is made at a time.
    planning: tokio::sync::Mutex<()>,
    /// One delivery of orders is put in place at a time.
    delivering: tokio::sync::Mutex<()>,
}

impl Web {
    /// What the pages of this agent need.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub fn new(
        agent: Arc<Agent>,
        jobs: Jobs,
        resets: Arc<PasswordResets>,
        directories: Directories,
    ) -> Result<Arc<Self>> {
        let clock = directories.clone();
        let operators = Operators::open(&agent.settings, clock.store().clone(), Arc::new(move || clock.now()))?;
        let clock = directories.clone();
        Ok(Arc::new(Self {
            is_secure: is_secure(&agent.settings, directories.public_url()),
            agent,
            jobs,
            resets,
            directories,
            pages: password_page::Pages::new(),
            templates: pages::Templates::new(move || clock.now()),
            operators,
            followers: Arc::new(tokio::sync::Semaphore::new(MOST_FOLLOWERS)),
            patience: Patience::default(),
            planning: tokio::sync::Mutex::default(),
            delivering: tokio::sync::Mutex::default(),
        }))
    }

    /// The store.
    fn store(&self) -> &Store {
        self.directories.store()
    }

    /// The time, in milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.directories.now()
    }

    /// Whether browsers reach us by https alone.
    fn is_secure(&self) -> bool {
        self.is_secure
    }
}

/// By the address that clients are told, else by those that are listened on.
fn is_secure(settings: &Settings, public_url: Option<&str>) -> bool {
    let listened = settings.section(&["Web"]).text("Urls").unwrap_or(DEFAULT_URL);
    let addresses = public_url.unwrap_or(listened);
    addresses.split(';').all(|address| address.trim().to_lowercase().starts_with("https://"))
}

/// The addresses of `Web:Urls`, separated by semicolons.
///
/// # Errors
/// Of kind `Settings` for one that cannot be listened on.
pub fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>> {
    let section = settings.section(&["Web"]);
    let refuse = |what: &str, hint: &str| Err(section.error("Urls", what).with_hint(hint));
    let mut addresses = Vec::new();
    for text in section.text("Urls").unwrap_or(DEFAULT_URL).split(';').map(str::trim).filter(|text| !text.is_empty()) {
        // As .NET writes "on every address".
        let text = text.replace("://*", "://0.0.0.0").replace("://+", "://0.0.0.0");
        let Ok(url) = Url::parse(&text) else {
            return refuse("holds something that is no address", "write http://127.0.0.1:6001");
        };
        match url.scheme() {
            "http" => {}
            "https" => {
                return refuse(
                    "asks for https, which a proxy before the agent does",
                    "write http://127.0.0.1:6001 and let the proxy pass requests on to it",
                );
            }
            _ => return refuse("has a scheme other than http", "write http://127.0.0.1:6001"),
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let address = match url.host() {
            Some(Host::Ipv4(address)) => SocketAddr::from((address, port)),
            Some(Host::Ipv6(address)) => SocketAddr::from((address, port)),
            Some(Host::Domain("localhost")) => SocketAddr::from(([127, 0, 0, 1], port)),
            _ => return refuse("names a host instead of one of this machine's addresses", "write an IP address"),
        };
        addresses.push(address);
    }
    if addresses.is_empty() { refuse("names no address", "write http://127.0.0.1:6001") } else { Ok(addresses) }
}

/// Everything that is served.
pub fn router(web: Arc<Web>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(password_page::routes())
        .merge(pages::routes())
        .nest("/api", api::routes(&web))
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is nothing here.\n") })
        .layer(middleware::map_response(guarded))
        .layer(middleware::from_fn(in_time))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // Clients of SCIM want SCIM's words, whatever happens: none of the layers speaks to them.
        .merge(scim::routes())
        .with_state(web)
}

/// Serves until `end` comes.
///
/// # Errors
/// Where an address cannot be listened on.
pub async fn serve(addresses: &[SocketAddr], web: Arc<Web>, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (ending, ended) = watch::channel(false);
    let mut servers = tokio::task::JoinSet::new();
    for address in addresses {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on `{address}`: choose another in `Web:Urls`"))?;
        // The words that operators of the vendor's agent wait for.
        tracing::info!("Now listening on: http://{}", listener.local_addr()?);
        let router = router(web.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let mut ended = ended.clone();
        let server = axum::serve(listener, router).with_graceful_shutdown(async move {
            // Closed is ended too.
            let _ = ended.wait_for(|ended| *ended).await;
        });
        servers.spawn(async move { server.await });
    }
    tokio::select! {
        () = end => {}
        Some(stopped) = servers.join_next() => stopped.context("a web server has stopped")??,
    }
    ending.send_replace(true);
    let goodbye = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(LONGEST_GOODBYE, goodbye).await.is_err() {
        tracing::warn!("ended while requests were under way");
    }
    Ok(())
}

async fn in_time(request: axum::extract::Request, next: middleware::Next) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What every answer says to browsers: keep nothing, load nothing from elsewhere, tell nobody where you come from.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        // A page that needs more says so itself.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
