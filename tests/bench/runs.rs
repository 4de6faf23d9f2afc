//! What a run of a job costs beside its work: queued, taken up, begun, ended, one after the other on SQLite.

use std::time::{Instant, SystemTime};

use agent_host::{
    agent::Agent,
    init,
    jobs::{Job, Jobs, Worker},
    store::{self, RunState, Store, WantedRun},
};
use anyhow::{Context, ensure};

use crate::report::{Bound, Report};

const CASE: &str = "runs";
const RUNS: u32 = 3000;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the bench")?;
    let directory = folder.path().join("agent");
    init::init(&directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seconds = runtime.block_on(async {
        let agent = Agent::open(&directory).await?;
        let mut jobs = Jobs::read(&agent)?;
        let empty = Job { name: "Empty".to_owned(), steps: Vec::new(), ..jobs.jobs[0].clone() };
        jobs.jobs.push(empty);
        let store = Store::open_in_haste(store::Place::of(&agent.settings)).await?;
        let worker = Worker::new(&agent, &jobs, &store, "bench".to_owned(), now_ms);
        let wanted = WantedRun { name: "Empty", cause: "person", due_ms: None, repairs: None };
        let began = Instant::now();
        for _ in 0..RUNS {
            store.queue_run(&wanted, now_ms()).await?.context("nothing waits")?;
            let run = worker.claim(None).await?.context("it waits")?;
            ensure!(worker.carry_out(&run).await? == Some(RunState::Success), "an empty run fails");
        }
        anyhow::Ok(began.elapsed().as_secs_f64())
    })?;
    report.figure(CASE, "empty runs a second, queued and ended", f64::from(RUNS) / seconds, Bound::AtLeast(1000.0));
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
