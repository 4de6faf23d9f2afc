//! Watches over the daemon's parts from a thread that jobs do not hold up, and tells monitoring and systemd.
//!
//! Time is counted in its own ticks, so that a clock that jumps makes nobody sick. systemd hears as long as the worker
//! turns, however the store is: to be ended brings no store back, and takes the runs that wait for it.

use std::{sync::Arc, time::Duration};

use super::systemd::{Systemd, Word};
use crate::{
    jobs::Clock,
    monitoring::{Monitoring, Part},
};

/// Between two looks.
const TICK: Duration = Duration::from_secs(1);
/// Looks without a turn of the worker after which it is stuck: longer than it waits for a store that is held up.
const STUCK_AFTER: u32 = 45;

/// What is watched, and who is told.
pub(super) struct Vigil {
    pub(super) monitoring: Arc<Monitoring>,
    pub(super) clock: Clock,
    pub(super) systemd: Arc<Systemd>,
    /// How often systemd wants to hear from us, where it does.
    pub(super) watchdog: Option<Duration>,
}

impl Vigil {
    /// Watches; never ends.
    pub(super) async fn keep(self) {
        let health = &self.monitoring.health;
        // Twice within the time that systemd gives.
        let every = self.watchdog.map(|time| (time / 2).max(TICK));
        let (mut turns, mut silent, mut since_sign, mut told) = (health.turns(), 0, Duration::MAX, None);
        loop {
            tokio::time::sleep(TICK).await;
            since_sign = since_sign.saturating_add(TICK);
            let seen = health.turns();
            silent = if seen == turns { silent + 1 } else { 0 };
            turns = seen;
            let is_turning = silent < STUCK_AFTER;
            if is_turning {
                health.is_well(Part::Worker);
            } else if health.is_unwell(Part::Worker, (self.clock)()) {
                tracing::error!("nothing has looked for work for {STUCK_AFTER} seconds");
            }
            if is_turning && every.is_some_and(|every| since_sign >= every) {
                self.systemd.say([Word::Alive]);
                since_sign = Duration::ZERO;
            }
            let unwell: Vec<&str> = health.ailments().iter().map(|ailment| ailment.part.name()).collect();
            if told.as_ref() != Some(&unwell) {
                let status = match unwell.as_slice() {
                    [] => "all is well".to_owned(),
                    unwell => format!("not well: {}", unwell.join(", ")),
                };
                self.systemd.say([Word::Status(status)]);
                told = Some(unwell);
            }
        }
    }
}
