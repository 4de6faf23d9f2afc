//! The contract of a connector: who calls what, when, and how often.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    capabilities::{Capabilities, ConnectionReport},
    error::{Error, ErrorKind, Result},
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

    /// The requests made since the connector was opened. Called often, also while other methods run.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
