//! Figures for Prometheus: counted here, written in its text format (version 0.0.4).
//!
//! Every name is in one table. Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

/// Figures that are kept; a new one beyond them is left out.
const MOST_FIGURES: usize = 5_000;

/// What a figure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Grows, and begins again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Figures of one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The name.
    pub name: &'static str,
    kind: FigureKind,
    help: &'static str,
}

/// The figures of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By name and labels as they are written.
    figures: Mutex<BTreeMap<(&'static str, String), f64>>,
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: FigureKind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: FigureKind::Gauge, help }
}

/// All names there are.
pub mod families {
    use super::{Family, counter, gauge};

    /// 1.
    pub const BUILD: Family = gauge("agent_build_info", "The version that runs.");
    /// By part.
    pub const UP: Family = gauge("agent_part_up", "Whether a part of the agent is well.");
    /// By job, which is `agent_job` because `job` is Prometheus' own, and state.
    pub const RUNS: Family = counter("agent_job_runs_total", "Runs of jobs that have ended.");
    /// By kind, connection and state.
    pub const STEPS: Family = counter("agent_job_steps_total", "Steps of jobs that have ended.");
    /// By kind and connection.
    pub const STEP_SECONDS: Family = counter("agent_job_step_seconds_total", "How long steps of jobs took.");
    /// By kind and connection.
    pub const LAST_DONE: Family =
        gauge("agent_job_step_last_done_timestamp_seconds", "When any agent last carried a step out without an error.");
    /// Runs in the queue.
    pub const QUEUED: Family = gauge("agent_job_runs_queued", "Runs that wait for a worker.");
    /// How long the first one waits.
    pub const QUEUE_AGE: Family =
        gauge("agent_job_queue_age_seconds", "How long the oldest run in the queue has waited.");
    /// Runs at work.
    pub const STARTED: Family = gauge("agent_job_runs_started", "Runs that are being carried out.");
    /// Since a worker last said that it is at a run.
    pub const LEASE_AGE: Family =
        gauge("agent_job_lease_age_seconds", "How long ago the most silent worker last renewed its hold of a run.");
    /// By connection and table.
    pub const EXPORTED: Family = counter("agent_exported_records_total", "Records in published export files.");
    /// By connection and table.
    pub const RECORDS: Family = gauge("agent_export_records", "Records in the last published export file.");
    /// By connection and table.
    pub const REJECTED: Family = counter("agent_rejected_records_total", "Records left out of export files.");
    /// By import and the connection that is read.
    pub const IMPORTED: Family = counter("agent_imported_records_total", "Records that imports have compared.");
    /// By connection, bucket and status.
    pub const REQUESTS: Family = counter(
        "agent_requests_total",
        "Requests to managed systems, by the status of the answer; `none` without one.",
    );
    /// By connection.
    pub const THROTTLED: Family = counter("agent_throttled_requests_total", "Answers that said: too many requests.");
    /// By connection and bucket.
    pub const WAITED: Family =
        counter("agent_limit_wait_seconds_total", "How long nothing was sent because a limit was used up.");
    /// By connection and bucket.
    pub const LIMIT: Family =
        gauge("agent_rate_limit_requests", "Requests that the managed system allows in a window, as it last told.");
    /// By connection and bucket.
    pub const MOST_USED: Family = gauge(
        "agent_rate_limit_most_used_requests",
        "Requests, whoever sent them, of the busiest window while the connection was last used.",
    );
    /// By connection and outcome.
    pub const ORDERS: Family = counter("agent_orders_total", "Provisioning orders that have an outcome.");
    /// By area and status.
    pub const SERVED: Family =
        counter("agent_http_requests_total", "Requests that the agent answered; area `scim` is SCIM.");
    /// By action and outcome.
    pub const AUDITED: Family =
        gauge("agent_audit_lines_last_day", "Lines of the audit in the last 24 hours, such as password resets.");
    /// Notifications that are still to be delivered.
    pub const NOTIFICATIONS: Family =
        gauge("agent_notifications_waiting", "Notifications that are still to be delivered.");
    /// When the certificate of `Web:Certificate` ends.
    pub const CERTIFICATE: Family =
        gauge("agent_certificate_end_timestamp_seconds", "When the certificate ends with which https is served.");
    /// Bytes.
    pub const MEMORY: Family = gauge("process_resident_memory_bytes", "Memory in use.");
    /// Seconds.
    pub const PROCESSOR: Family = counter("process_cpu_seconds_total", "Processor time used.");

    /// In the order in which they are written.
    pub const ALL: [Family; 26] = [
        BUILD,
        UP,
        RUNS,
        STEPS,
        STEP_SECONDS,
        LAST_DONE,
        QUEUED,
        QUEUE_AGE,
        STARTED,
        LEASE_AGE,
        EXPORTED,
        RECORDS,
        REJECTED,
        IMPORTED,
        REQUESTS,
        THROTTLED,
        WAITED,
        LIMIT,
        MOST_USED,
        ORDERS,
        SERVED,
        AUDITED,
        NOTIFICATIONS,
        CERTIFICATE,
        MEMORY,
        PROCESSOR,
    ];
}

impl Metrics {
    /// Counts.
    pub fn add(&self, family: Family, labels: &[(&str, &str)], value: f64) {
        self.change(family, labels, |figure| *figure += value);
    }

    /// Says what it is now.
    pub fn set(&self, family: Family, labels: &[(&str, &str)], value: f64) {
        self.change(family, labels, |figure| *figure = value);
    }

    /// Forgets all figures of a name, which are then said anew.
    pub fn clear(&self, family: Family) {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _), _| *name != family.name);
    }

    /// All figures as Prometheus reads them.
    pub fn text(&self) -> String {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for Family { name, kind, help } in families::ALL {
            let kind = match kind {
                FigureKind::Counter => "counter",
                FigureKind::Gauge => "gauge",
            };
            let mut of_family =
                figures.range((name, String::new())..).take_while(|((other, _), _)| *other == name).peekable();
            if of_family.peek().is_some() {
                // Writing to a text cannot fail, here and below.
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            }
            for ((_, labels), value) in of_family {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text
    }

    fn change(&self, family: Family, labels: &[(&str, &str)], change: impl FnOnce(&mut f64)) {
        let key = (family.name, written(labels));
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        if figures.len() < MOST_FIGURES || figures.contains_key(&key) {
            change(figures.entry(key).or_default());
        }
    }
}

fn written(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.add(families::RUNS, &[("agent_job", "A \"b\"\\\n"), ("state", "error")], 1.0);
        metrics.add(families::RUNS, &[("agent_job", "A \"b\"\\\n"), ("state", "error")], 1.5);
        metrics.set(families::QUEUED, &[], 3.0);
        let expected = "# HELP agent_job_runs_total Runs of jobs that have ended.\n# TYPE agent_job_runs_total counter\n\
             agent_job_runs_total{agent_job=\"A \\\"b\\\"\\\\\\n\",state=\"error\"} 2.5\n\
             # HELP agent_job_runs_queued Runs that wait for a worker.\n# TYPE agent_job_runs_queued gauge\n\
             agent_job_runs_queued 3\n";
        assert_eq!(metrics.text(), expected);
        metrics.clear(families::RUNS);
        assert!(!metrics.text().contains("agent_job_runs_total"));
    }

    #[test]
    fn names_keep_to_the_conventions_and_figures_are_bounded() {
        for Family { name, kind, help } in families::ALL {
            assert_eq!(name.ends_with("_total"), kind == FigureKind::Counter, "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && help.ends_with('.'),
                "{name}"
            );
        }
        let metrics = Metrics::default();
        for job in 0..MOST_FIGURES + 9 {
            metrics.add(families::RUNS, &[("agent_job", &job.to_string())], 1.0);
        }
        assert_eq!(metrics.figures.lock().unwrap().len(), MOST_FIGURES);
    }
}
