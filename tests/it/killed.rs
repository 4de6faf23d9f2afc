//! An export that is killed, at whatever moment, leaves the former set byte for byte and nothing that stays.

use std::{
    thread,
    time::{Duration, Instant},
};

use acceptance::{CONNECTION, Files, Run, TABLES, TestAgent, csv_name, listing};
use okta_sandbox::{SandboxConfig, Seed};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MOMENTS: u32 = 50;
/// The last of them, close together: where files take the place of others.
const LATE_MOMENTS: u32 = 15;

/// When to kill an export that takes about so long: all over it, and once more all over its end.
fn moments(whole: Duration) -> impl Iterator<Item = Duration> {
    let early = MOMENTS - LATE_MOMENTS;
    let spread = (0..early).map(move |moment| whole * moment / early);
    spread.chain((0..LATE_MOMENTS).map(move |moment| whole - whole / 10 * moment / LATE_MOMENTS))
}

/// Changes a record of every table.
fn change(agent: &TestAgent, round: u32) {
    agent.org(|org| {
        org.set_attribute("admin@example.com", "lastName", json!(format!("Name {round}")));
        let (group, app) = (org.add_group(&format!("Group {round}")), org.add_app(&format!("App {round}")));
        org.add_member(&group, "admin@example.com") && org.assign_group(&app, &group)
    });
}

/// Every file is the one that the manifest beside it describes, so the files are of one set.
fn assert_whole(files: &Files) {
    let manifest: Value =
        serde_json::from_slice(&files[&format!("{CONNECTION}_export.json")]).expect("the manifest is JSON");
    for table in TABLES {
        let sha256: String =
            Sha256::digest(&files[&csv_name(table)]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(manifest["tables"][table]["sha256"], sha256, "{table}");
    }
}

/// How long an export takes, into another folder.
fn duration(agent: &TestAgent) -> Duration {
    let (elsewhere, began) = (agent.beside("elsewhere"), Instant::now());
    agent.export(&["--output", elsewhere.to_str().expect("the path is text")]).must_exit(0);
    began.elapsed()
}

#[test]
fn a_killed_export_leaves_the_former_set() {
    let seed = Seed { users: 900, groups: 60, apps: 10, ..Seed::default() };
    let agent = TestAgent::with(SandboxConfig { seed, latency: Duration::from_millis(30), ..SandboxConfig::default() });
    agent.export(&[]).must_exit(0);
    agent.export(&[]).must_exit(0);
    let fresh = listing(&agent.output());
    let mut former = agent.published();
    change(&agent, 0);
    // The quickest of some, so that most are killed before they are done.
    let whole = (0..3).map(|_| duration(&agent)).min().expect("some exports");

    let mut too_late = 0;
    for (round, moment) in (1..).zip(moments(whole)) {
        let mut export = agent.command(&["export", CONNECTION]).spawn().unwrap();
        thread::sleep(moment);
        export.kill().unwrap();
        let _ = Run::from(export.wait_with_output().unwrap());
        let found = agent.published();
        if found != former {
            // Published before it was killed: then as a whole, and this is the set to keep from now on.
            assert_whole(&found);
            (former, too_late) = (found, too_late + 1);
            change(&agent, round);
        }
    }
    assert!(too_late <= MOMENTS / 2, "{too_late} of {MOMENTS} exports were done before they were killed");

    agent.export(&[]).must_exit(0);
    assert_whole(&agent.published());
    assert_eq!(listing(&agent.output()), fresh, "what killed exports left is gone");
}
