//! Several agents on one PostgreSQL.

use std::time::Duration;

use acceptance::agents::{Trial, disturb};

#[test]
fn agents_that_are_killed_and_stopped_do_everything_once() {
    let Some(verdict) = disturb(Trial { seed: 7, length: Duration::from_secs(25), agents: 3 }) else { return };
    assert!(verdict.kills > 1 && verdict.stops > 1, "{verdict:?}");
    assert!(verdict.orders > 60 && verdict.due_times > 5 && verdict.sets > 2, "{verdict:?}");
}
