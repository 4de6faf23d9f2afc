#![doc = include_str!("../README.md")]

mod clock;
mod governor;
mod patience;
mod tables;
mod auth;
mod settings;
mod error;
mod cursor;
mod client;
mod paging;
mod cells;
mod lists;
mod pages;
mod schema;
mod check;
mod plan;
mod export;
mod fulfill;
mod password;

use std::sync::Arc;

use connector_api::{
    Account, Capabilities, ConnectionReport, ConnectionSettings, Connector, ExportPlan, ExportStream, Fulfillment,
    Journal, Outlook, PasswordOutcome, PasswordReset, Preview, ProvisioningOrder, Result, Table, TableSchema, Traffic,
    async_trait,
};

pub use crate::clock::Clock;
use crate::{client::Client, clock::SystemClock, fulfill::Known, settings::OktaSettings};

/// A connection to one Okta organisation.
pub struct OktaConnector {
    client: Client,
    known: Known,
}

impl OktaConnector {
    /// Checks the settings; makes no request.
    ///
    /// # Errors
    /// Kind `Settings`, naming the setting and what to write.
    pub fn open(settings: &ConnectionSettings) -> Result<Self> {
        Self::open_with_clock(settings, Arc::new(SystemClock::start()))
    }

    /// The same by a clock of the caller's, for tests that do not wait.
    ///
    /// # Errors
    /// As [`OktaConnector::open`].
    pub fn open_with_clock(settings: &ConnectionSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { client: Client::new(OktaSettings::read(settings)?, clock)?, known: Known::default() })
    }

    /// What any connection to Okta offers.
    pub fn capabilities() -> Capabilities {
        Capabilities { tables: tables::TABLES.to_vec() }
    }
}

#[async_trait]
impl Connector for OktaConnector {
    fn capabilities(&self) -> Capabilities {
        Self::capabilities()
    }

    async fn test_connection(&self, tables: &[Table]) -> Result<ConnectionReport> {
        let report = check::check(&self.client, tables).await?;
        schema::resolve(&self.client, tables).await?;
        Ok(report)
    }

    async fn schema(&self) -> Result<Vec<TableSchema>> {
        schema::read(&self.client).await
    }

    fn export<'a>(&'a self, tables: &'a [Table]) -> ExportStream<'a> {
        self.client.will_read(tables);
        export::stream(&self.client, tables)
    }

    async fn plan(&self, tables: &[Table]) -> Result<ExportPlan> {
        self.client.will_read(tables);
        schema::resolve(&self.client, tables).await?;
        plan::plan(&self.client, tables).await
    }

    async fn find_account(&self, login: &str) -> Result<Account> {
        password::find_account(&self.client, &self.known, login).await
    }

    async fn reset_password(&self, reset: &PasswordReset) -> Result<PasswordOutcome> {
        password::reset(&self.client, &self.known, reset).await
    }

    fn outlook(&self, order: &ProvisioningOrder) -> Outlook {
        fulfill::outlook(self.client.settings(), order)
    }

    async fn preview(&self, order: &ProvisioningOrder) -> Result<Preview> {
        fulfill::preview(&self.client, &self.known, order).await
    }

    async fn fulfill(&self, order: &ProvisioningOrder, journal: &dyn Journal) -> Result<Fulfillment> {
        fulfill::fulfill(&self.client, &self.known, order, journal).await
    }

    fn traffic(&self) -> Traffic {
        self.client.traffic()
    }
}
