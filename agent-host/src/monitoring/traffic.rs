//! What a connection sends to its managed system, added to the figures while it is used.
//!
//! A connector tells what it has sent since it was opened; here only the difference since the last look is added. Requests
//! that got no answer are told apart from those under way when the connection is closed, not before.

use std::sync::{Mutex, PoisonError};

use connector_api::{BucketTraffic, Traffic};

use super::metrics::{Metrics, families};

/// What is counted already of one connection's traffic.
#[derive(Debug, Default)]
pub struct CountedTraffic(Mutex<Traffic>);

impl CountedTraffic {
    /// Adds what was sent since the last look. After the last one nothing is under way any more.
    pub fn look(&self, metrics: &Metrics, connection: &str, now: Traffic, is_last: bool) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = ("connection", connection);
        let throttled = now.throttled.saturating_sub(counted.throttled);
        metrics.add(families::THROTTLED, &[connection], count(throttled));
        let nothing = BucketTraffic::default();
        for (name, traffic) in &now.by_bucket {
            let before = counted.by_bucket.get(name).unwrap_or(&nothing);
            let labels = [connection, ("bucket", name.as_str())];
            let waited = traffic.waited.saturating_sub(before.waited);
            metrics.add(families::WAITED, &labels, waited.as_secs_f64());
            for (status, requests) in &traffic.statuses {
                let answered = requests.saturating_sub(before.statuses.get(status).copied().unwrap_or(0));
                add_requests(metrics, labels, &status.to_string(), answered);
            }
            if is_last {
                let answered: u64 = traffic.statuses.values().sum();
                add_requests(metrics, labels, "none", traffic.requests.saturating_sub(answered));
            }
            if let Some(told) = traffic.limit {
                metrics.set(families::LIMIT, &labels, f64::from(told.limit));
                metrics.set(families::MOST_USED, &labels, f64::from(told.most_used));
            }
        }
        *counted = now;
    }
}

fn add_requests(metrics: &Metrics, [connection, bucket]: [(&str, &str); 2], status: &str, requests: u64) {
    if requests > 0 {
        metrics.add(families::REQUESTS, &[connection, bucket, ("status", status)], count(requests));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use connector_api::LimitUse;

    use super::*;

    fn traffic(requests: u64, ok: u64, refused: u64, waited: u64, most_used: u32) -> Traffic {
        let bucket = BucketTraffic {
            requests,
            statuses: BTreeMap::from([(200, ok), (429, refused)]),
            waited: Duration::from_secs(waited),
            waiting: None,
            limit: Some(LimitUse { limit: 600, most_used }),
        };
        Traffic { by_bucket: [("users".to_owned(), bucket)].into(), throttled: refused, ..Traffic::default() }
    }

    #[test]
    fn each_look_adds_what_is_new_and_the_last_one_what_got_no_answer() {
        let (metrics, counted) = (Metrics::default(), CountedTraffic::default());
        let has = |line: &str| metrics.text().lines().any(|known| known == line);
        metrics.add(families::THROTTLED, &[("connection", "a")], 5.0);
        counted.look(&metrics, "a", traffic(3, 1, 1, 2, 500), false);
        assert!(has(r#"agent_requests_total{connection="a",bucket="users",status="200"} 1"#), "{}", metrics.text());
        assert!(!metrics.text().contains("status=\"none\""), "one is under way");
        counted.look(&metrics, "a", traffic(8, 5, 2, 7, 548), false);
        counted.look(&metrics, "a", traffic(8, 5, 2, 7, 548), true);
        for line in [
            r#"agent_requests_total{connection="a",bucket="users",status="200"} 5"#,
            r#"agent_requests_total{connection="a",bucket="users",status="429"} 2"#,
            r#"agent_requests_total{connection="a",bucket="users",status="none"} 1"#,
            r#"agent_throttled_requests_total{connection="a"} 7"#,
            r#"agent_limit_wait_seconds_total{connection="a",bucket="users"} 7"#,
            r#"agent_rate_limit_requests{connection="a",bucket="users"} 600"#,
            r#"agent_rate_limit_most_used_requests{connection="a",bucket="users"} 548"#,
        ] {
            assert!(has(line), "{line} in\n{}", metrics.text());
        }
    }
}
