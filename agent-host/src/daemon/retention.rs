//! How long the audit is kept: the section `Audit`, and the chore that forgets older lines.
//!
//! A turn forgets so many lines and no more, so that the store is never held up for long, and a clock that is wrong for a
//! while costs no more than that.

use std::time::Duration;

use connector_api::Result;

use crate::{jobs::Clock, settings::Settings, store::Store};

/// How long lines are kept where the settings do not say; …
const KEEP_DAYS: u32 = 730;
/// … nobody may lose them sooner than this.
const LEAST_DAYS: u32 = 90;
const MOST_DAYS: u32 = 36_500;
const DAY_MS: i64 = 24 * 3_600_000;
/// Lines that are forgotten at a turn, …
const MOST_AT_ONCE: u32 = 10_000;
/// … and between two turns.
const LOOK_FOR_OLD: Duration = Duration::from_secs(3600);

/// Forgets what has been in the audit for long enough.
pub(super) struct AuditRetention {
    keep_ms: i64,
    store: Store,
    clock: Clock,
}

impl AuditRetention {
    /// As the section says.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub(super) fn read(settings: &Settings, store: Store, clock: Clock) -> Result<Self> {
        let days = settings.section(&["Audit"]).number("KeepDays", KEEP_DAYS, LEAST_DAYS..=MOST_DAYS)?;
        Ok(Self { keep_ms: i64::from(days) * DAY_MS, store, clock })
    }

    /// Forgets old lines now and then; never ends.
    pub(super) async fn keep(&self) {
        loop {
            match self.store.forget_audit((self.clock)() - self.keep_ms, MOST_AT_ONCE).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "old lines of the audit are forgotten"),
                Err(error) => tracing::error!("old lines of the audit cannot be forgotten: {error:#}"),
            }
            tokio::time::sleep(LOOK_FOR_OLD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_audit_is_kept_for_two_years_and_no_setting_makes_it_less_than_ninety_days() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
        for (days, kept) in [(None, Some(730)), (Some("90"), Some(90)), (Some("89"), None), (Some("a year"), None)] {
            let variables = days.map(|days| ("Audit__KeepDays", days));
            let (settings, _) = Settings::load(folder.path(), variables).await.unwrap();
            let read = AuditRetention::read(&settings, store.clone(), || 0);
            assert_eq!(read.ok().map(|read| read.keep_ms / DAY_MS), kept, "{days:?}");
        }
    }
}
