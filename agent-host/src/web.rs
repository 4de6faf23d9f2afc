//! What the agent serves by HTTP: dashboard, API, SCIM, the page behind a password link, and how the agent is.
//!
//! Listens where `Web:Urls` says, on this machine alone where nothing is said; by https where a certificate is given.
//! Requests are bounded in size and time; when the agent is asked to end, those under way are answered first.

mod address;
mod api;
mod patience;
mod password_page;
mod monitoring;
mod scim;
mod door;
mod server;
pub mod views;
mod session;
mod pages;
mod oauth;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use connector_api::Result;
use tokio::sync::{Notify, watch};

use crate::{
    agent::Agent,
    directories::Directories,
    export::Output,
    jobs::{Course, Jobs},
    monitoring::Monitoring,
    operators::Operators,
    password_reset::PasswordResets,
    reload::Reload,
    settings::Settings,
    store::{Store, WantedRun},
};
pub use address::{Address, Tls, addresses, tls};
pub use monitoring::waiting;
pub use pages::{Route, listed as dashboard_routes};
use patience::Patience;
pub use server::{Served, Server};

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 16 << 10;
/// How long one request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// Logs of runs that are followed at once.
const MOST_FOLLOWERS: usize = 64;

/// What the pages need.
pub struct Web {
    agent: Arc<Agent>,
    /// Where the sets are that people look at.
    output: Output,
    jobs: Jobs,
    resets: Arc<PasswordResets>,
    directories: Directories,
    pages: password_page::Pages,
    consents: oauth::Pages,
    templates: pages::Templates,
    operators: Operators,
    is_secure: bool,
    /// Those who follow the log of a run.
    followers: Arc<tokio::sync::Semaphore>,
    /// With wrong links …
    patience: Patience,
    /// … and with wrong tokens.
    patience_with_tokens: Patience,
    /// One plan is made at a time.
    planning: Arc<tokio::sync::Mutex<()>>,
    /// One delivery of orders is put in place at a time.
    delivering: tokio::sync::Mutex<()>,
    around: Around,
    /// Whether figures are for everybody; else for this machine.
    metrics_without_token: Option<bool>,
    /// Where it is listened, once it is.
    address: OnceLock<Address>,
}

/// What the pages share with the daemon around them.
pub struct Around {
    /// By which they ask that the settings be read anew.
    pub reload: Reload,
    /// What is wanted of them.
    pub course: watch::Receiver<Course>,
    /// How the agent is, and what it has done.
    pub monitoring: Arc<Monitoring>,
    /// By which they tell that a run is queued.
    pub queued: Arc<Notify>,
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
        around: Around,
    ) -> Result<Arc<Self>> {
        let clock = directories.clone();
        let operators = Operators::open(&agent.settings, clock.store().clone(), Arc::new(move || clock.now()))?;
        let clock = directories.clone();
        Ok(Arc::new(Self {
            is_secure: is_secure(&agent.settings, directories.public_url()),
            metrics_without_token: monitoring::without_token(&agent.settings)?,
            output: Output::of(&agent.settings)?,
            agent,
            jobs,
            resets,
            directories,
            pages: password_page::Pages::new(),
            consents: oauth::Pages::new(),
            templates: pages::Templates::new(move || clock.now()),
            operators,
            followers: Arc::new(tokio::sync::Semaphore::new(MOST_FOLLOWERS)),
            patience: Patience::default(),
            patience_with_tokens: Patience::default(),
            planning: Arc::default(),
            delivering: tokio::sync::Mutex::default(),
            around,
            address: OnceLock::new(),
        }))
    }

    /// Tells the pages where they are served.
    pub fn served_at(&self, address: Address) {
        // They are served at one place as long as they live.
        let _ = self.address.set(address);
    }

    /// What addresses begin with that clients are told: the public one, else the first that is listened on.
    fn own_url(&self) -> String {
        let public = self.directories.public_url().map(ToOwned::to_owned);
        let first = || addresses(&self.agent.settings).ok()?.first().copied();
        public.or_else(|| self.address.get().copied().or_else(first).map(|it| it.to_string())).unwrap_or_default()
    }

    /// Asks that the settings be read anew, and waits until they hold; else why they do not, in words.
    pub async fn reload(&self) -> std::result::Result<(), String> {
        self.around.reload.ask().await
    }

    /// Queues a run, which the agent takes up at once; none where it waits already.
    async fn queue_run(&self, wanted: &WantedRun<'_>) -> anyhow::Result<Option<i64>> {
        let queued = self.store().queue_run(wanted, self.now_ms()).await?;
        self.around.queued.notify_one();
        Ok(queued)
    }

    /// Comes when others have taken these pages' place, or the agent is asked to end: answers that never end by
    /// themselves end then.
    pub async fn retired(&self) {
        // Closed is retired too.
        let _ = self.around.course.clone().wait_for(|course| *course >= Course::Retire).await;
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
    match public_url {
        Some(url) => url.to_lowercase().starts_with("https://"),
        None => addresses(settings).is_ok_and(|all| all.iter().all(|address| address.is_https)),
    }
}

/// Everything that is served.
pub fn router(web: Arc<Web>) -> Router {
    Router::new()
        .merge(monitoring::routes())
        .merge(password_page::routes())
        .merge(oauth::routes())
        .merge(pages::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is nothing here.\n") })
        .layer(middleware::from_fn_with_state(LONGEST_REQUEST, in_time))
        // The API says in its own words that something took too long.
        .nest("/api", api::routes(&web))
        .layer(middleware::map_response(guarded))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // Clients of SCIM want SCIM's words, whatever happens: none of the layers speaks to them.
        .merge(scim::routes())
        .layer(middleware::from_fn_with_state(web.clone(), monitoring::counted))
        .with_state(web)
}

/// Answers in time. What changes something is done to its end, and written down, though whoever asked goes away meanwhile.
async fn in_time(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    let is_read = request.method().is_safe();
    let answered = tokio::time::timeout(longest, next.run(request));
    let answered = if is_read { Ok(answered.await) } else { tokio::spawn(answered).await };
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        // What panicked is in the log already.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
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
