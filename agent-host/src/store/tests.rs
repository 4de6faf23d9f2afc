//! The store on a real file and on a real PostgreSQL: what it remembers once it is opened again.

use sqlx::migrate::Migrator;
use tempfile::TempDir;

use super::{
    BegunStep, Care, Claim, MIGRATIONS, OrderPlace, Outcome, Place, RunState, Store, WantedRun, migration, places,
};

/// Where stores are tested: in a file in the folder, and on a server where one is installed.
pub(crate) fn both() -> Vec<(TempDir, Place)> {
    let folder = || tempfile::tempdir().unwrap();
    let file = folder();
    let path = file.path().join("a folder/agent %41?.db");
    let server = passing_postgres::database().map(|url| (folder(), Place::Server(url.into())));
    [(file, Place::File(path))].into_iter().chain(server).collect()
}

/// New stores in all those places.
pub(crate) async fn stores() -> Vec<(TempDir, Store)> {
    let opened = both().into_iter().map(async |(folder, place)| (folder, Store::open(place).await.unwrap()));
    futures::future::join_all(opened).await
}

/// A claim of a run for ten milliseconds.
fn claim<'a>(place: Option<&'a str>, at_work: &'a [i64], now_ms: i64) -> Claim<'a> {
    Claim { worker: "worker", place, jobs: None, at_work, now_ms, until_ms: now_ms + 10 }
}

#[tokio::test]
async fn a_job_waits_once_a_place_and_each_place_takes_its_own() {
    for (_folder, place) in both() {
        let stores = futures::future::join_all((0..2).map(|_| Store::open(&place))).await;
        let [one, two] = <[Store; 2]>::try_from(stores.into_iter().map(Result::unwrap).collect::<Vec<_>>()).unwrap();
        let wanted = |place| WantedRun { name: "Orders", cause: "orders", due_ms: None, repairs: None, place };
        let first = one.queue_run(&wanted(Some("a")), 1).await.unwrap().unwrap();
        assert_eq!(one.queue_run(&wanted(Some("a")), 1).await.unwrap(), None, "it waits already");
        let second = two.queue_run(&wanted(Some("b")), 2).await.unwrap().expect("the other place waits beside it");
        assert_eq!(two.waiting_run("orders", Some("b")).await.unwrap().unwrap().id, second);
        assert!(two.waiting_run("orders", None).await.unwrap().is_none());
        let (a, b) = (claim(Some("a"), &[], 3), claim(Some("b"), &[], 3));
        let claimed = futures::future::join(one.claim_run(None, &a), two.claim_run(None, &b)).await;
        let claimed: Vec<i64> =
            [claimed.0, claimed.1].into_iter().filter_map(Result::unwrap).map(|run| run.id).collect();
        assert_eq!(claimed.len(), 1, "the job does not overlap itself, and nothing fails");
        assert!(one.end_job_run(claimed[0], "worker", RunState::Success, "", 4).await.unwrap());
        let left = one.claim_run(None, &a).await.unwrap().or(two.claim_run(None, &b).await.unwrap()).unwrap();
        assert_eq!(left.id + claimed[0], first + second);
        let last = one.last_run_at("orders", Some("a")).await.unwrap().unwrap();
        assert_eq!(last.id, first, "what another place came to counts for nothing");
    }
}

#[tokio::test]
async fn a_worker_whose_clock_jumps_does_not_take_up_what_it_is_at() {
    for (_folder, store) in stores().await {
        let wanted = WantedRun { name: "Long", cause: "person", due_ms: None, repairs: None, place: None };
        let run = store.queue_run(&wanted, 1).await.unwrap().unwrap();
        assert!(store.claim_run(None, &claim(None, &[], 1)).await.unwrap().is_some());
        assert!(store.claim_run(None, &claim(None, &[run], 1_000)).await.unwrap().is_none());
        let again = store.claim_run(None, &claim(None, &[], 1_000)).await.unwrap();
        assert_eq!(again.unwrap().attempts, 2, "what nobody is at is taken up");
    }
}

fn outcome(place: OrderPlace, state: &'static str) -> Outcome {
    let [id, change_type, owner_id, owner_type, message] = ["7", "Added", "9", "51", "a \"b\"\nc"].map(str::to_owned);
    Outcome {
        place,
        id,
        change_type,
        owner_id,
        owner_type,
        state,
        record: String::new(),
        changed: true,
        message,
        at_ms: 5,
    }
}

#[tokio::test]
async fn what_was_noted_is_there_when_the_store_is_opened_again() {
    for (_folder, place) in both() {
        let store = Store::open(&place).await.unwrap();
        let file = store.begin_order_file("okta", "digest", ("", "a.json"), 1).await.unwrap();
        assert!(store.begin_order_file("okta", "digest", ("", "a.json"), 2).await.is_err(), "it is at work");
        let order = |position| OrderPlace { order_file: file, position };
        let notes = store.notes(None);
        let many: Vec<_> = (0..50).map(|position| notes.begun(order(position), "create", 3)).collect();
        for kept in futures::future::join_all(many).await {
            kept.unwrap();
        }
        assert!(notes.commits() < 50, "notes share commits");
        notes.done(order(0), "create", "00u1", 4).await.unwrap();
        notes.outcome(outcome(order(1), "Executed")).await.unwrap();
        notes.outcome(outcome(order(2), "Errored")).await.unwrap();
        notes.flush().await.unwrap();
        drop(notes);
        store.close().await;

        let store = Store::open(&place).await.unwrap();
        let mut finished = Vec::new();
        store.finished(file, |position, executed, _| finished.push((position, executed))).await.unwrap();
        finished.sort_unstable();
        assert_eq!(finished, [(1, true), (2, false)]);
        let begun = store.begun(file).await.unwrap();
        assert_eq!(begun.len(), 48);
        let step = |position, result: Option<&str>| BegunStep {
            position,
            step: "create".to_owned(),
            result: result.map(str::to_owned),
        };
        assert!(begun.contains(&step(0, Some("00u1"))) && begun.contains(&step(3, None)));
    }
}

#[tokio::test]
async fn an_order_is_reported_by_one_run_and_a_closed_file_is_taken_up_anew() {
    for (_folder, store) in stores().await {
        let file = store.begin_order_file("okta", "digest", ("", "a.json"), 1).await.unwrap();
        let notes = store.notes(None);
        notes.outcome(outcome(OrderPlace { order_file: file, position: 0 }, "Executed")).await.unwrap();
        notes.flush().await.unwrap();
        let first = store.begin_run("okta", 1).await.unwrap();
        assert_eq!(store.claim_outcomes(first, "other").await.unwrap(), 0);
        assert_eq!(store.claim_outcomes(first, "okta").await.unwrap(), 1);
        store.announce_results(first, "results.csv", "sum").await.unwrap();
        assert_eq!(store.unpublished_runs("okta").await.unwrap()[0].digest, "sum");
        store.withdraw_outcomes(first, 2).await.unwrap();
        let second = store.begin_run("okta", 3).await.unwrap();
        assert_eq!(store.claim_outcomes(second, "okta").await.unwrap(), 1);
        let mut lines = Vec::new();
        let line = |order: &super::ReportedOrder| {
            lines.push(format!("{} {}", order.id, order.message));
            Ok(())
        };
        store.reported(second, line).await.unwrap();
        assert_eq!(lines, ["7 a \"b\"\nc"]);
        assert_eq!(store.reported_of(file).await.unwrap(), 0);
        store.publish_results(second, 4).await.unwrap();
        assert!(store.unpublished_runs("okta").await.unwrap().is_empty());
        assert_eq!(store.reported_of(file).await.unwrap(), 1);
        store.announce_move(file, "Completed/a.json").await.unwrap();
        assert_eq!(store.open_order_files("okta").await.unwrap()[0].moving_to, "Completed/a.json");
        store.close_order_file(file, 5).await.unwrap();
        assert_ne!(store.begin_order_file("okta", "digest", ("", "a.json"), 6).await.unwrap(), file);
        store.forget_old(200 * 24 * 3600 * 1000).await.unwrap();
        let mut left = 0;
        store.finished(file, |_, _, _| left += 1).await.unwrap();
        assert_eq!(left, 0, "what was closed long ago is gone");
    }
}

#[tokio::test]
async fn what_two_agents_open_and_number_at_once_is_made_once_and_numbered_apart() {
    for (_folder, place) in both() {
        let stores = futures::future::join_all((0..3).map(|_| Store::open(&place))).await;
        let stores: Vec<Store> = stores.into_iter().map(Result::unwrap).collect();
        let names: Vec<String> = (0..12).map(|number| format!("job {number}")).collect();
        let queued = names.iter().enumerate().map(async |(nth, name)| {
            let wanted = WantedRun { name, cause: "schedule", due_ms: Some(7), repairs: None, place: None };
            let both = [&stores[nth % 3], &stores[(nth + 1) % 3]].map(|store| store.queue_run(&wanted, 1));
            futures::future::join_all(both).await.into_iter().filter_map(Result::unwrap).collect::<Vec<i64>>()
        });
        let mut numbers: Vec<i64> = futures::future::join_all(queued).await.concat();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=12).collect::<Vec<i64>>(), "each due time has one run");
        let wish = claim(None, &[], 10);
        let claims = (0..24).map(|nth| stores[nth % 3].claim_run(None, &wish));
        let claimed = futures::future::join_all(claims).await.into_iter().filter_map(Result::unwrap);
        let mut claimed: Vec<i64> = claimed.map(|run| run.id).collect();
        let count = claimed.len();
        claimed.sort_unstable();
        claimed.dedup();
        assert_eq!(claimed.len(), count, "no run is taken up twice");
        let files = stores.iter().flat_map(|store| {
            [store.begin_order_file("a", "1", ("", "x"), 1), store.begin_order_file("b", "1", ("", "x"), 1)]
        });
        let begun = futures::future::join_all(files).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(begun, 2, "a file is begun once a connection");
        let runs = futures::future::join_all(stores.iter().map(|store| store.begin_run("a", 1))).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
    }
}

#[test]
fn places_are_numbered_through() {
    assert_eq!(places(2, 2), "($1, $2), ($3, $4)");
}

#[tokio::test]
async fn a_store_of_an_earlier_version_keeps_what_it_knows() {
    for (_folder, place) in both() {
        let pool = place.connect(Care::Full).await.unwrap();
        let earlier = MIGRATIONS.into_iter().filter(|(version, ..)| *version < 17).map(migration);
        Migrator::with_migrations(earlier.collect()).run(&pool).await.unwrap();
        let known = "INSERT INTO job_schedules (job, schedule, settled_ms) VALUES ('nightly', '0 3 * * * UTC', 7)";
        sqlx::query(known).execute(&pool).await.unwrap();
        pool.close().await;
        for _ in 0..2 {
            let store = Store::open(&place).await.unwrap();
            assert_eq!(store.version(), MIGRATIONS[MIGRATIONS.len() - 1].0);
            let settled = store.settled_schedule("Nightly", "0 3 * * * UTC", 9).await.unwrap().unwrap();
            assert_eq!(settled.settled_ms, 7);
            store.close().await;
        }
    }
}
