//! Sends the notices that wait: at once after a reset, and again later where the mail server did not take them.

use std::{collections::BTreeMap, time::Duration};

use super::{PasswordResets, notice::Notice};

/// How long whoever took a notice has it for itself.
const CLAIM: Duration = Duration::from_secs(5 * 60);
/// A notice is given up after this time, …
const LONGEST_WAIT: Duration = Duration::from_secs(3 * 24 * 3600);
/// … and so many attempts, which take three hours: a clock that jumps says nothing of how long it was tried.
const LEAST_ATTEMPTS: i64 = 10;
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long a notice may be held by whoever made it: longer than any run that is carried out in one go.
const LONGEST_HELD: Duration = Duration::from_secs(14 * 24 * 3600);
/// Notices that are sent in one go.
const MOST: usize = 200;

/// What came of the notices that were tried: by their name, why each was not sent.
pub(crate) type Attempts = BTreeMap<String, Option<String>>;

impl PasswordResets {
    /// Sends what is due, as far as the mail server takes it; what fails is tried again later, longer and longer apart.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn send_waiting(&self) -> anyhow::Result<usize> {
        Ok(self.attempt_waiting().await?.values().filter(|why| why.is_none()).count())
    }

    pub(super) async fn attempt_waiting(&self) -> anyhow::Result<Attempts> {
        let mut attempts = Attempts::new();
        let Some(mailer) = &self.mailer else { return Ok(attempts) };
        let forgotten = self.store.drop_notices_held_before(self.now() - ms(LONGEST_HELD)).await?;
        if forgotten > 0 {
            tracing::warn!(count = forgotten, "forgot notices of resets that nobody finished");
        }
        while attempts.len() < MOST {
            let now = self.now();
            let Some(waiting) = self.store.take_due_notice(now, now + ms(CLAIM)).await? else { break };
            let Some(notice) = Notice::open(&waiting, &self.key) else {
                tracing::error!(notice.id = waiting.id, "a notice was sealed with another key and cannot be sent");
                self.store.drop_notice(&waiting.id).await?;
                continue;
            };
            if notice.valid_until_ms.is_some_and(|until| until <= now) {
                let (id, login) = (&waiting.id, &notice.login);
                tracing::error!(notice.id = id, login, "a notice could not be sent in time and is given up");
                self.store.drop_notice(&waiting.id).await?;
                attempts.insert(waiting.id, Some("it could not be sent in time".to_owned()));
                continue;
            }
            let failure = notice.send(&waiting.id, mailer).await.err().map(|error| format!("{error:#}"));
            match &failure {
                None => self.store.drop_notice(&waiting.id).await?,
                Some(why) if is_given_up(now - waiting.created_ms, waiting.attempts) => {
                    let (id, login) = (&waiting.id, &notice.login);
                    tracing::error!(notice.id = id, login, why, "a notice could not be sent for days and is given up");
                    self.store.drop_notice(id).await?;
                }
                Some(why) => {
                    let pause = pause_after(waiting.attempts);
                    tracing::warn!(notice.id = waiting.id, why, wait_ms = pause, "a notice was not sent and waits");
                    self.store.put_off_notice(&waiting.id, now + pause).await?;
                }
            }
            attempts.insert(waiting.id, failure);
        }
        Ok(attempts)
    }
}

fn is_given_up(age_ms: i64, attempts: i64) -> bool {
    age_ms > ms(LONGEST_WAIT) && attempts >= LEAST_ATTEMPTS
}

/// The wait after so many attempts: a minute, doubled each time.
fn pause_after(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 10) - 1).unwrap_or(0);
    (60_000_i64 << doublings).min(ms(LONGEST_PAUSE))
}

pub(super) fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_further_and_further_apart() {
        let minutes: Vec<i64> = (0..9).map(|attempts| pause_after(attempts) / 60_000).collect();
        assert_eq!(minutes, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        let days = |days: i64| days * 24 * 3_600_000;
        let given_up = [(days(100), 1), (days(100), 9), (days(2), 70), (days(4), 10)]
            .map(|(age_ms, attempts)| is_given_up(age_ms, attempts));
        assert_eq!(given_up, [false, false, false, true]);
    }
}
