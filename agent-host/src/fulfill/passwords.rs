//! The first passwords of accounts that the orders of a run make: given before, told after.
//!
//! What makes that happen once, whatever happens to the process, is in `password_reset/first.rs`.

use super::{limits::is_of_the_order, run::Fate};
use crate::{
    orders::WantedPassword,
    password_reset::{FirstPassword, PasswordResets, Promise},
    store::OrderPlace,
};
use connector_api::{Account, ProvisioningOrder};

/// Gives and tells first passwords in one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passwords<'a> {
    pub(super) resets: &'a PasswordResets,
    pub(super) connection: &'a str,
}

impl Passwords<'_> {
    /// Puts the first password into the order, if it is to have one; `was_begun` by an earlier attempt.
    ///
    /// # Errors
    /// Where there is none to put: the order stays open.
    pub(super) async fn give(
        &self,
        order: OrderPlace,
        wanted: &WantedPassword,
        was_begun: bool,
        into: &mut ProvisioningOrder,
    ) -> Result<Promise, Fate> {
        let account = account(into);
        let first = FirstPassword {
            order,
            connection: self.connection,
            account: &account,
            owner: &wanted.owner,
            setting: &wanted.setting,
        };
        match self.resets.first_password(&first, was_begun).await {
            Ok(None) => Ok(Promise::default()),
            Ok(Some(given)) => {
                into.password = Some(given.password);
                Ok(given.promise)
            }
            Err(error) => match error.downcast::<connector_api::Error>() {
                Ok(error) if is_of_the_order(error.kind()) => Err(Fate::Open(error)),
                Ok(error) => Err(Fate::Stop(error.into())),
                Err(error) => Err(Fate::Stop(error)),
            },
        }
    }

    /// Confirms or forgets what would be told, before the order's outcome is noted.
    pub(super) async fn settle(&self, order: OrderPlace, was_made: bool) -> anyhow::Result<()> {
        self.resets.settle_first_password(self.connection, order, was_made).await
    }
}

/// The account that the order makes, as far as its values say.
fn account(order: &ProvisioningOrder) -> Account {
    let text = |name: &str| {
        let column = order.values.iter().find(|(column, _)| {
            column.eq_ignore_ascii_case(name)
                || column.to_lowercase().strip_prefix("profile.") == Some(&name.to_lowercase())
        });
        column.and_then(|(_, value)| value.as_str()).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut account = Account::new("", text("login").unwrap_or_default());
    account.first_name = text("firstName").unwrap_or_default();
    account.last_name = text("lastName").unwrap_or_default();
    account.email = text("email");
    account.second_email = text("secondEmail");
    account.language = text("preferredLanguage").or_else(|| text("locale"));
    account
}

#[cfg(test)]
mod tests {
    use connector_api::ChangeType;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_account_is_what_the_order_wants_of_it() {
        let mut order = ProvisioningOrder::new("1", ChangeType::Added, "users");
        for (column, value) in
            [("profile.login", "ada@example.com"), ("profile.firstName", " Ada "), ("profile.email", "")]
        {
            order.values.insert(column.to_owned(), Value::from(value));
        }
        let account = account(&order);
        assert_eq!(
            (account.login.as_str(), account.first_name.as_str(), account.email),
            ("ada@example.com", "Ada", None)
        );
    }
}
