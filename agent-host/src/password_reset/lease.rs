//! One reset of an account at a time, whichever process asks: a row of the store, kept as long as the work goes on.

use std::{future::Future, pin::pin, time::Duration};

use connector_api::{Error, ErrorKind};

use super::{PasswordResets, delivery::ms, random_text};

/// How long an account stays taken when its process dies: less than whoever comes next waits.
const LEASE: Duration = Duration::from_secs(20);
/// Between two looks whether the account is free.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Looks until the account is given up: half a minute.
const MAX_LOOKS: u32 = 150;

impl PasswordResets {
    /// Does the work while nobody else resets the password of the account.
    ///
    /// # Errors
    /// Where somebody else has it for too long; else those of the work.
    pub(super) async fn holding<T>(
        &self,
        connection: &str,
        account: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let holder = random_text(16)?;
        let mut looks = 0;
        while !self.take(connection, account, &holder).await? {
            looks += 1;
            if looks > MAX_LOOKS {
                let message = format!("another reset of the account `{account}` is under way");
                return Err(Error::new(ErrorKind::Unavailable, message).with_hint("wait for it to end").into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let mut work = pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = tokio::time::sleep(LEASE / 3) => {
                    if !self.take(connection, account, &holder).await? {
                        tracing::warn!(connection.id = connection, account.id = account, "another reset took the account over");
                    }
                }
            }
        };
        self.store.release_account(connection, account, &holder).await?;
        outcome
    }

    async fn take(&self, connection: &str, account: &str, holder: &str) -> anyhow::Result<bool> {
        let now = self.now();
        self.store.lease_account(connection, account, holder, now, now + ms(LEASE)).await
    }
}
