//! The store on a real file: what it remembers once it is opened again.

use super::{BegunStep, OrderPlace, Outcome, Store, places};

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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder/agent %41?.db");
    let store = Store::open(&path).await.unwrap();
    let file = store.begin_order_file("okta", "digest", "a.json", 1).await.unwrap();
    assert!(store.begin_order_file("okta", "digest", "a.json", 2).await.is_err(), "it is at work");
    let place = |position| OrderPlace { order_file: file, position };
    let notes = store.notes();
    let many: Vec<_> = (0..50).map(|position| notes.begun(place(position), "create", 3)).collect();
    for kept in futures::future::join_all(many).await {
        kept.unwrap();
    }
    assert!(notes.commits() < 50, "notes share commits");
    notes.done(place(0), "create", "00u1", 4).await.unwrap();
    notes.outcome(outcome(place(1), "Executed")).await.unwrap();
    notes.outcome(outcome(place(2), "Errored")).await.unwrap();
    notes.flush().await.unwrap();
    drop(notes);
    store.close().await;

    let store = Store::open(&path).await.unwrap();
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

#[tokio::test]
async fn an_order_is_reported_by_one_run_and_a_closed_file_is_taken_up_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
    let file = store.begin_order_file("okta", "digest", "a.json", 1).await.unwrap();
    let notes = store.notes();
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
    assert_ne!(store.begin_order_file("okta", "digest", "a.json", 6).await.unwrap(), file);
    store.forget_old(200 * 24 * 3600 * 1000).await.unwrap();
    let mut left = 0;
    store.finished(file, |_, _, _| left += 1).await.unwrap();
    assert_eq!(left, 0, "what was closed long ago is gone");
}

#[test]
fn places_are_numbered_through() {
    assert_eq!(places(2, 2), "($1, $2), ($3, $4)");
}
