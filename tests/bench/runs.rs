//! What a run of a job costs beside its work: queued, taken up, begun, ended, by an agent's worker on SQLite.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use agent_host::{
    agent::Agent,
    init,
    jobs::{Course, Job, Jobs, OrdersWatch, Worker},
    store::{self, RunState, Store, WantedRun},
};
use anyhow::{Context, ensure};
use tokio::sync::watch;

use crate::report::{Bound, Report};

const CASE: &str = "runs";
const RUNS: u32 = 3000;
/// Between two looks whether the last has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the bench")?;
    let directory = folder.path().join("agent");
    init::init(&directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seconds = runtime.block_on(async {
        let agent = Arc::new(Agent::open(&directory).await?);
        let mut jobs = Jobs::read(&agent)?;
        // A job waits once at a time.
        let names: Vec<String> = (0..RUNS).map(|number| format!("Empty{number}")).collect();
        let empty = Job { steps: Vec::new(), ..jobs.jobs[0].clone() };
        jobs.jobs.extend(names.iter().map(|name| Job { name: name.clone(), ..empty.clone() }));
        let store = Store::open_in_haste(store::Place::of(&agent.settings)).await?;
        let (course, asked) = watch::channel(Course::GoOn);
        let worker = Worker::new(agent, jobs, store.clone(), "bench".to_owned(), now_ms).asked_by(asked);
        let began = Instant::now();
        let mut last = 0;
        for name in &names {
            let wanted = WantedRun { name, cause: "person", due_ms: None, repairs: None, place: None };
            last = store.queue_run(&wanted, now_ms()).await?.context("nothing waits")?;
        }
        let asking = async {
            while !store.job_run(last).await?.is_some_and(|run| run.state.is_over()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            course.send_replace(Course::Retire);
            anyhow::Ok(())
        };
        let ((), asked) = tokio::join!(worker.work(OrdersWatch::default()), asking);
        asked?;
        let seconds = began.elapsed().as_secs_f64();
        let runs = store.job_runs(None, i64::from(RUNS) + 1).await?;
        let done = runs.iter().filter(|run| run.state == RunState::Success).count();
        ensure!(done == names.len(), "{done} of {RUNS} empty runs succeeded");
        anyhow::Ok(seconds)
    })?;
    report.figure(CASE, "empty runs a second, queued and ended", f64::from(RUNS) / seconds, Bound::AtLeast(1000.0));
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
