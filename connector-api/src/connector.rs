//! The contract of a connector: who calls what, when, and how often.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    capabilities::{Capabilities, ConnectionReport},
    error::{Error, ErrorKind, Result},
    journal::Journal,
    order::{Fulfillment, Outlook, Preview, ProvisioningOrder},
    password::{Account, PasswordOutcome, PasswordReset},
    table::{RecordBatch, Table, TableSchema},
    traffic::{ExportPlan, Traffic},
};

/// The records of all tables asked for, interleaved as they come. An error is the last item: what came before it is
/// then worthless, because half a table reads as mass deletion.
pub type ExportStream<'a> = BoxStream<'a, Result<RecordBatch>>;

/// One configured way to one managed system.
///
/// A host opens a connector for one command or run and drops it afterwards. Every method may be called at any time
/// and from several tasks; none changes the managed system unless it says so.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What this connector offers. Called first and often; makes no request.
    fn capabilities(&self) -> Capabilities;

    /// Tries out whether `tables` can be read, with as few requests as that takes.
    ///
    /// A right that is missing is a problem in the report; an error means that nothing could be found out.
    async fn test_connection(&self, tables: &[Table]) -> Result<ConnectionReport>;

    /// The tables and columns that the system has now.
    async fn schema(&self) -> Result<Vec<TableSchema>>;

    /// Reads all records of `tables`.
    ///
    /// Nothing is requested before the stream is polled, and no more than the stream's reader takes. A record may come
    /// twice when the system changes meanwhile; none is left out. A column that the system does not know is an error of
    /// kind [`ErrorKind::Settings`] before the first record.
    fn export<'a>(&'a self, tables: &'a [Table]) -> ExportStream<'a>;

    /// Foretells what `export` of `tables` would cost, with as few requests as that takes.
    async fn plan(&self, _tables: &[Table]) -> Result<ExportPlan> {
        Err(Error::new(ErrorKind::Unsupported, "this connector cannot foretell what an export costs"))
    }

    /// What `order` asks for, as far as it can be told without a request. Called often, and before `fulfill`.
    fn outlook(&self, _order: &ProvisioningOrder) -> Outlook {
        Outlook { lane: "", deletes: false, deactivates: false }
    }

    /// Foretells what `fulfill` of `order` would do now. Reads what it must and writes nothing.
    ///
    /// # Errors
    /// Those of `fulfill`: a change that would be refused is the error it would be refused with.
    async fn preview(&self, _order: &ProvisioningOrder) -> Result<Preview> {
        Err(Error::new(ErrorKind::Unsupported, "this connector cannot foretell what an order would do"))
    }

    /// Carries `order` out: afterwards the managed system is as the order wants it, and nothing else was touched.
    ///
    /// May be repeated with the same order at any time, by this or another process, after whatever happened: what is
    /// already so is left alone. Every write stands in `journal` before it is sent. Orders on different records may
    /// run at the same time; the host gives those on the same record one after another.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the record to modify does not exist; [`ErrorKind::Rejected`] where the order
    /// cannot be carried out; the message says what was done before a step failed. Anything else says nothing about
    /// the order: it may be tried again later.
    async fn fulfill(&self, _order: &ProvisioningOrder, _journal: &dyn Journal) -> Result<Fulfillment> {
        Err(Error::new(ErrorKind::Unsupported, "this connector does not carry out orders"))
    }

    /// The account that `login`, which may be its identity too, names: one, and no guess.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none; [`ErrorKind::Rejected`] where `login` fits more than one.
    async fn find_account(&self, _login: &str) -> Result<Account> {
        Err(Error::new(ErrorKind::Unsupported, "this connector does not look up accounts"))
    }

    /// Carries out what `reset` asks for. Repeats nothing whose repetition somebody would notice, such as a mail,
    /// before it knows that it was not done; keeps no note of it.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] where the account's state or origin does not allow it or the system's password policy
    /// refuses, in the system's words and without the password; [`ErrorKind::Unavailable`] may leave open whether it
    /// was done, and says so.
    async fn reset_password(&self, _reset: &PasswordReset) -> Result<PasswordOutcome> {
        Err(Error::new(ErrorKind::Unsupported, "this connector does not reset passwords"))
    }

    /// So many agents, this one among them, send requests to the same system now: this one is to use its part of what
    /// the settings allow all of them. At least 1. Called often, also while other methods run; before that it is 1.
    fn share_limits_among(&self, _agents: u32) {}

    /// The requests made since the connector was opened. Called often, also while other methods run.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
