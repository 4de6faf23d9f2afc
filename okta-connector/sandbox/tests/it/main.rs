//! How faithful the sandbox is to Okta: recorded exchanges are replayed against it, and its answers are held against
//! the recorded ones and against Okta's published OpenAPI description.
//!
//! Both come from the shared folder beside the workspace. Where it is absent these tests say so and pass.

#![cfg(test)]

mod answer;
mod client;
mod comparison;
mod differences;
mod oauth;
mod openapi;
mod presupposed;
mod recordings;
mod replay;
mod restored;
mod scenarios;
mod shape;
mod signer;
mod signin;
mod writes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use comparison::Finding;
use differences::{KNOWN, Known, Ledger, OPENAPI};
use openapi::Description;
use replay::{Ids, Replay};

#[tokio::test]
async fn answers_have_the_shape_that_okta_recorded() {
    let Some(shared) = shared() else { return };
    let replays = replays(&shared).await;
    let findings: Vec<Finding> = replays.iter().flat_map(comparison::findings).collect();

    let exchanges: usize = replays.iter().map(|replay| replay.answers.len()).sum();
    let compared = replays.iter().flat_map(|replay| &replay.answers).flatten().count();
    println!("{} files, {exchanges} exchanges, {compared} compared, {} differences", replays.len(), findings.len());
    assert_complete(&shared, &replays);
    settle(&findings, KNOWN);
}

#[tokio::test]
async fn answers_fit_the_published_description() {
    let Some(shared) = shared() else { return };
    let mut description = Description::read(&shared);
    let (mut validated, mut undescribed) = (0, 0);
    let mut findings = Vec::new();
    for replay in replays(&shared).await {
        for (step, (exchange, ours)) in replay.recording.exchanges.iter().zip(&replay.answers).enumerate() {
            let Some(body) = ours.as_ref().and_then(|ours| ours.body.as_ref()) else { continue };
            let status = ours.as_ref().map_or(0, |ours| ours.status);
            let operation = description.operation(&exchange.method, &exchange.target);
            let departures = operation.as_ref().and_then(|operation| description.departures(operation, status, body));
            let (Some(request), Some(departures)) = (operation, departures) else {
                undescribed += 1;
                continue;
            };
            validated += 1;
            let file = &replay.recording.name;
            findings.extend(departures.into_iter().map(|subject| Finding {
                file: file.clone(),
                step,
                request: request.clone(),
                era: exchange.era,
                subject,
                detail: String::new(),
            }));
        }
    }
    println!("{validated} answers validated, {undescribed} not described, {} departures", findings.len());
    settle(&findings, OPENAPI);
}

#[tokio::test]
async fn refusals_are_the_recorded_ones() {
    let Some(shared) = shared() else { return };
    for file in recordings::REFUSALS {
        let recording = recordings::read(&shared.join("recordings").join(file));
        let refused = recording.exchanges.iter().find(|exchange| exchange.answer.status == 429);
        let refused = refused.expect("a recorded refusal");
        let ours = replay::until_refused(refused).await;
        assert_eq!(comparison::differences(&refused.answer, &ours, &Ids::default()), [], "{file}");
    }
}

fn shared() -> Option<PathBuf> {
    let shared = recordings::shared();
    if shared.is_none() {
        println!("skipped: there is no shared folder with Okta's recordings beside the workspace");
    }
    shared
}

async fn replays(shared: &Path) -> Vec<Replay> {
    let mut replays = Vec::new();
    for file in recordings::files(shared).iter().filter(|file| recordings::authentic(file)) {
        replays.push(replay::play(recordings::read(file)).await);
    }
    replays
}

/// Every recording of users, groups and applications was replayed, but for the one that was edited by hand.
fn assert_complete(shared: &Path, replays: &[Replay]) {
    let files = recordings::files(shared);
    for (folder, edited) in [("test_users_it", 1), ("test_groups_it", 0), ("test_applications_it", 0)] {
        let recorded = files.iter().filter(|file| file.parent().is_some_and(|parent| parent.ends_with(folder))).count();
        let replayed = replays.iter().filter(|replay| replay.recording.name.starts_with(folder)).count();
        println!("{folder}: {replayed} of {recorded} recordings replayed");
        assert!(recorded > edited, "{folder} is empty");
        assert_eq!(replayed, recorded - edited, "{folder}");
    }
}

/// Fails on every finding that is not known, and on every known difference that is gone.
fn settle(findings: &[Finding], known: &'static [Known]) {
    let mut ledger = Ledger::new(known);
    let unknown: Vec<&Finding> = findings.iter().filter(|finding| !ledger.explains(finding)).collect();
    println!("{} listed differences explain {}", known.len(), findings.len() - unknown.len());

    // One line for what is the same in many places.
    let mut groups: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &unknown {
        groups.entry((&finding.request, &finding.subject)).or_default().push(finding);
    }
    for ((request, subject), findings) in &groups {
        let Finding { file, step, era, detail, .. } = findings[0];
        println!("{request}: {subject} ({detail}), {} times, {era:?}, first in {file} #{step}", findings.len());
    }
    let unused = ledger.unused();
    unused.iter().for_each(|entry| println!("listed, but there is no such difference any more: {entry}"));
    assert!(unknown.is_empty() && unused.is_empty(), "{} unlisted, {} gone", unknown.len(), unused.len());
}
