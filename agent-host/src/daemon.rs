//! The daemon: runs jobs on time, watches the orders folders, serves SCIM directories and the web pages and sends mails
//! that wait, until it is asked to end.
//!
//! What lives as long as the process is the *house*: lock, stores, listeners. What the settings say is a *generation*. The
//! settings are read anew when somebody asks and when a vault's values are due; a new generation takes over what begins
//! from then on, and what has begun ends under the one it began in. Settings that cannot be used change nothing.

mod alone;
mod beginning;
mod generation;
mod house;
mod retention;
mod systemd;
mod vigil;

use std::{future::Future, path::Path, pin::Pin, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
};
use tracing::Level;

use crate::{
    export::FileError,
    jobs::{Clock, Course},
    monitoring::Part,
    redaction::redact,
    reload::{Reload, Reloads},
    web::Server,
};
pub use alone::is_running;
use beginning::{Begun, begin, load};
use generation::{Generation, served};
use house::House;
use systemd::{Systemd, Word, watchdog};
use vigil::Vigil;

/// Before what failed for want of a vault, a disk or a store is tried again; twice as long each time, …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … and no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What an end takes at the most beside `Jobs:StopTimeoutSeconds`: some seconds for a store that does not answer, twice.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What a daemon is started with.
pub struct Start<'a> {
    /// The agent directory.
    pub directory: &'a Path,
    /// Told each time settings are read, with the level at which they want the log; none where they cannot be read.
    pub log: &'a dyn Fn(Option<Level>),
    /// The time.
    pub clock: Clock,
    /// By which its parts ask that the settings be read anew.
    pub reload: Reload,
    /// Where these wishes arrive.
    pub reloads: Reloads,
}

/// Runs until `end` comes.
///
/// # Errors
/// Where the settings cannot be used at the start, another agent runs on the work folder, an address cannot be listened on
/// or the store cannot be opened.
pub async fn run(start: Start<'_>, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    // Jobs stay on this thread; pages are served on others.
    LocalSet::new().run_until(Box::pin(live(start, end))).await
}

async fn live(mut start: Start<'_>, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut end = pin!(end);
    let systemd = Arc::new(Systemd::begin()?);
    let begun = tokio::select! {
        biased;
        () = &mut end => return Ok(()),
        begun = begin(&start, &systemd) => begun,
    };
    let Begun { mut house, mut server, generation } = begun?;
    let mut next = due(generation.refresh_after());
    let mut at_work = AtWork::default();
    at_work.begin(generation);
    let vigil = tokio::spawn(vigil(&house, systemd.clone()).keep());
    systemd.say([Word::Ready]);
    let mut wait = FIRST_WAIT;
    loop {
        let wishes = tokio::select! {
            biased;
            () = &mut end => break,
            wishes = start.reloads.next() => wishes,
            () = &mut next => Vec::new(),
            failed = at_work.failed() => return Err(failed),
        };
        let is_due = wishes.is_empty();
        systemd.say([Word::Reloading]);
        let renewed = tokio::select! {
            biased;
            () = &mut end => break,
            renewed = renew(&start, &mut house, &mut server) => renewed,
        };
        let outcome = match renewed {
            Ok(generation) => {
                (wait, next) = (FIRST_WAIT, due(generation.refresh_after()));
                at_work.begin(generation);
                // Before it is told: whoever reads the log may ask at once.
                house.monitoring.health.is_well(Part::Settings);
                tracing::info!("the settings were read anew: they hold for what begins from now on");
                Ok(())
            }
            Err(error) => {
                (start.log)(None);
                let why = in_words(&error);
                house.monitoring.health.is_unwell(Part::Settings, (start.clock)());
                tracing::error!("the settings cannot be used, the former ones go on: {why}");
                if is_due {
                    tracing::warn!(wait_s = wait.as_secs(), "the settings cannot be read and will be tried again");
                    next = due(Some(wait));
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(redact(&why).into_owned())
            }
        };
        systemd.say([Word::Ready]);
        wishes.into_iter().for_each(|wish| wish.answer(outcome.clone()));
    }
    // Nobody looks for work any more, and that is no ailment.
    vigil.abort();
    let status = "asked to end: what is under way comes to its end first";
    systemd.say([Word::Stopping, Word::Status(status.to_owned())]);
    systemd.say([Word::Extend(at_work.stop_timeout + LONGEST_REST)]);
    tracing::info!("{status}");
    tokio::join!(server.end(at_work.stop_timeout), at_work.hand_over());
    house.leave().await;
    Ok(())
}

fn vigil(house: &House, systemd: Arc<Systemd>) -> Vigil {
    Vigil { monitoring: house.monitoring.clone(), clock: house.clock, systemd, watchdog: watchdog() }
}

/// The error, and what to do about it.
fn in_words(error: &anyhow::Error) -> String {
    let hint = error.chain().find_map(|cause| {
        let of_settings = cause.downcast_ref::<connector_api::Error>().and_then(connector_api::Error::hint);
        of_settings.or_else(|| cause.downcast_ref::<FileError>().map(FileError::hint))
    });
    hint.map_or_else(|| format!("{error:#}"), |hint| format!("{error:#}; {hint}"))
}

/// The next generation, with its addresses listened on.
async fn renew(start: &Start<'_>, house: &mut House, server: &mut Server) -> anyhow::Result<Generation> {
    let generation = Generation::open(load(start).await?, house)?;
    let router = generation.router();
    server.change(served(generation.settings(), &house.monitoring, (start.clock)(), router)?).await?;
    generation.told_of(server);
    Ok(generation)
}

/// Comes after so long; never where nothing is said.
fn due(after: Option<Duration>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    })
}

/// The generations that have work, the last of which begins what is new.
#[derive(Default)]
struct AtWork {
    tasks: JoinSet<()>,
    courses: Vec<watch::Sender<Course>>,
    /// What the last of them gives to what is under way when the agent is asked to end.
    stop_timeout: Duration,
}

impl AtWork {
    /// Lets this generation begin, and the others end in their own time.
    fn begin(&mut self, generation: Generation) {
        self.courses.retain(|course| !course.is_closed());
        for course in &self.courses {
            course.send_replace(Course::Retire);
        }
        self.stop_timeout = generation.stop_timeout();
        let (course, work) = generation.work();
        self.courses.push(course);
        self.tasks.spawn_local(work);
    }

    /// Comes when one has broken down; ends of retired ones pass unnoticed.
    async fn failed(&mut self) -> anyhow::Error {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                return anyhow::Error::new(error).context("what carries out jobs has broken down");
            }
        }
        anyhow::anyhow!("nothing carries out jobs any more")
    }

    /// Asks all of them to end soon, and waits for it.
    async fn hand_over(mut self) {
        for course in &self.courses {
            course.send_replace(Course::HandOver);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
