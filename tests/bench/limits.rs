//! An organisation whose limits bind: no request may be refused, and the share of the limits must be used up.
//!
//! A window in which work was left over is one that another followed. So the requests of all windows but the last are
//! compared with what the share allows from the opening of the first to that of the last, the pauses between windows
//! included. Limits are Okta's for Workforce organisations, of which a token gets half and `RateLimitShare` takes 90 %.

use crate::{
    organisation::Organisation,
    report::{Bound, Report},
    rig::Rig,
};

const CASE: &str = "limits";
/// Fills two windows of each bucket and reaches into a third.
const ORGANISATION: Organisation = Organisation { users: 110_000, groups: 400, apps: 100, memberships: 40_000 };
const WINDOW_MILLIS: i64 = 60_000;
/// What we may use of each bucket in a window.
const ALLOWED: [(&str, u64); 3] = [
    ("/api/v1/users", 600 / 2 * 90 / 100),
    ("/api/v1/groups", 500 / 2 * 90 / 100),
    ("/api/v1/apps", 100 / 2 * 90 / 100),
];

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::new(&ORGANISATION, &["--limits=workforce", "--share=50", "--latency-ms=30"])?;
    let export = rig.export()?;
    report.row(CASE, "agent-host", &export, Some(ORGANISATION.minimum_requests()));
    report.figure(CASE, "429s", export.journal.throttled() as f64, Bound::AtMost(0.0));
    let buckets = export.journal.by_bucket();
    for (bucket, allowed) in ALLOWED {
        let used = buckets.get(bucket).and_then(|times| share_used(times, allowed)).unwrap_or(0.0);
        report.figure(CASE, format!("percent of the share used, {bucket}"), used * 100.0, Bound::AtLeast(95.0));
    }
    Ok(())
}

/// What part of `allowed` requests a window was used while work was left; none where there was one window alone.
pub(crate) fn share_used(times: &[i64], allowed: u64) -> Option<f64> {
    let first = *times.first()?;
    let (mut opened, mut before_opened) = (first, 0);
    for (before, &time) in times.iter().enumerate() {
        if time >= opened + WINDOW_MILLIS {
            (opened, before_opened) = (time, before);
        }
    }
    let windows = (opened - first) as f64 / WINDOW_MILLIS as f64;
    (windows > 0.0).then(|| before_opened as f64 / (allowed as f64 * windows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_window_does_not_count_and_pauses_do() {
        assert_eq!(share_used(&[], 2), None);
        assert_eq!(share_used(&[0, 1], 2), None);
        assert_eq!(share_used(&[0, 1, 60_000], 2), Some(1.0));
        assert_eq!(share_used(&[0, 1, 75_000, 75_001, 150_000], 2), Some(0.8));
        assert_eq!(share_used(&[0, 60_000, 60_001, 120_000], 2), Some(0.75));
    }
}
