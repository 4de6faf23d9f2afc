//! The tests that every connector passes: what `Capabilities` promise, the verbs keep.
//!
//! A connector's own tests open it against a system with at least one record in every table and call [`check`]; one that
//! carries out orders calls [`check_orders`] too, once a table. The rules are those of [`Connector`] and [`Journal`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::TryStreamExt;

use serde_json::Value;

use crate::{
    async_trait,
    capabilities::TableCapability,
    connector::Connector,
    error::{Error, ErrorKind, Result},
    journal::{Earlier, Journal},
    order::{ChangeType, Effect, ForeseenEffect, Fulfillment, ProvisioningOrder, RecordKey},
    password::{PasswordAction, PasswordReset},
    table::{Column, RecordBatch, Table},
};

/// Checks everything a connector promises.
///
/// # Panics
/// With the promise that was broken.
pub async fn check(connector: &dyn Connector) {
    let capabilities = connector.capabilities();
    assert!(!capabilities.tables.is_empty(), "a connector offers at least one table");
    let exported: Vec<TableCapability> = capabilities.exported().copied().collect();
    let tables: Vec<Table> = exported.iter().map(default_table).collect();

    let report = connector.test_connection(&tables).await.expect("the connection can be tested");
    assert!(report.problems.is_empty(), "a sound connection has no problems: {:?}", report.problems);
    for table in &tables {
        let tested = report.tables.iter().find(|(name, _)| *name == table.name);
        assert!(matches!(tested, Some((_, true))), "`{}` was tested and can be read", table.name);
    }

    let schema = connector.schema().await.expect("the schema can be read");
    for capability in &capabilities.tables {
        let known = schema.iter().find(|table| table.name == capability.name);
        let known = known.unwrap_or_else(|| panic!("the schema names the table `{}`", capability.name));
        for column in capability.default_columns() {
            assert!(known.columns.iter().any(|k| k.path == column), "`{}` has the column `{column}`", known.name);
        }
    }

    check_export(connector, &tables, &exported).await;
    check_unknown_column(connector, &tables[0]).await;
    check_unknown_account(connector).await;
}

/// Checks that orders on the table of `added` do what they say, once. Leaves the system as it was.
///
/// `added` makes a record that is not there, without links and password; `change` is a column of it and another value
/// that it may take.
///
/// # Panics
/// With the promise that was broken.
pub async fn check_orders(connector: &dyn Connector, added: &ProvisioningOrder, change: (&str, Value)) {
    let capabilities = connector.capabilities();
    let table = capabilities.table(&added.table).expect("the sample's table is one of the connector's");
    let outlook = connector.outlook(added);
    assert!(!outlook.deletes && !outlook.deactivates, "an order that adds takes nothing away");

    // A preview writes nothing: asked twice, it says the same.
    for _ in 0..2 {
        let foretold = connector.preview(added).await.expect("the sample can be foretold");
        assert_eq!(foretold.effect, ForeseenEffect::Create, "the sample is not there yet");
        assert!(!foretold.changes.is_empty(), "a preview names what would be made");
    }
    let refused = connector.fulfill(added, &ClosedJournal).await;
    refused.expect_err("what cannot be noted is not sent");
    let foretold = connector.preview(added).await.expect("the sample can be foretold");
    assert_eq!(foretold.effect, ForeseenEffect::Create, "nothing was made without the journal");

    let made = twice(connector, added).await;
    let key = RecordKey { column: table.identity[0].to_owned(), value: made.key };
    let order = |change_type, values: &[(&str, Value)]| {
        let mut order = ProvisioningOrder::new(&added.id, change_type, &added.table);
        order.key = Some(key.clone());
        order.values = values.iter().map(|(column, value)| ((*column).to_owned(), value.clone())).collect();
        order
    };
    let modified = order(ChangeType::Modified, &[change]);
    twice(connector, &modified).await;

    let unknown = order(ChangeType::Modified, &[("noSuchColumn", "x".into())]);
    let kind = fails(connector, &unknown).await;
    assert!(matches!(kind, ErrorKind::Rejected | ErrorKind::Unsupported), "an unknown column is the order's fault");
    let mut elsewhere = order(ChangeType::Modified, &[]);
    "noSuchTable".clone_into(&mut elsewhere.table);
    assert_eq!(fails(connector, &elsewhere).await, ErrorKind::Unsupported, "there is no such table");

    let deleted = order(ChangeType::Deleted, &[]);
    let outlook = connector.outlook(&deleted);
    assert!(outlook.deletes || outlook.deactivates, "an order that deletes says so");
    twice(connector, &deleted).await;
    if outlook.deletes {
        assert_eq!(fails(connector, &modified).await, ErrorKind::NotFound, "what is deleted cannot be modified");
    }
}

/// Carries an order out, and again by the same journal and by a new one: the effect takes place once.
async fn twice(connector: &dyn Connector, order: &ProvisioningOrder) -> Fulfillment {
    let journal = OpenJournal::default();
    let first = connector.fulfill(order, &journal).await.expect("the order is carried out");
    assert_eq!(first.effect, Effect::Changed, "the first time something is written");
    let steps = journal.done_steps();
    assert!(!steps.is_empty(), "what is written stands in the journal");
    let again = connector.fulfill(order, &journal).await.expect("the order is carried out again");
    assert_eq!((&again.key, again.effect), (&first.key, Effect::AlreadyInPlace), "the same journal");
    assert_eq!(journal.done_steps(), steps, "the steps are the same at every attempt");
    let anew = connector.fulfill(order, &OpenJournal::default()).await.expect("the order is carried out anew");
    assert_eq!((&anew.key, anew.effect), (&first.key, Effect::AlreadyInPlace), "another journal");
    let foretold = connector.preview(order).await.expect("what is done can be foretold");
    assert_eq!((foretold.effect, foretold.changes), (ForeseenEffect::None, Vec::new()), "nothing is left to do");
    first
}

/// The kind of error that both a preview and fulfilment end in.
async fn fails(connector: &dyn Connector, order: &ProvisioningOrder) -> ErrorKind {
    let foretold = connector.preview(order).await.expect_err("the order is refused in a preview").kind();
    let refused = connector.fulfill(order, &OpenJournal::default()).await.expect_err("the order is refused");
    assert_eq!(foretold, refused.kind(), "a preview foretells the refusal");
    refused.kind()
}

/// A journal in memory: steps that began, and the results of those that are done.
#[derive(Default)]
struct OpenJournal(Mutex<BTreeMap<String, Option<String>>>);

impl OpenJournal {
    fn steps(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done_steps(&self) -> Vec<String> {
        let steps = self.steps();
        assert!(steps.values().all(Option::is_some), "every step that began is done: {:?}", steps.keys());
        steps.keys().cloned().collect()
    }
}

#[async_trait]
impl Journal for OpenJournal {
    async fn begin(&self, step: &str) -> Result<Earlier> {
        let mut steps = self.steps();
        Ok(match steps.get(step) {
            None => {
                steps.insert(step.to_owned(), None);
                Earlier::None
            }
            Some(None) => Earlier::Unknown,
            Some(Some(result)) => Earlier::Done(result.clone()),
        })
    }

    async fn done(&self, step: &str, result: &str) -> Result<()> {
        let mut steps = self.steps();
        let begun = steps.get_mut(step).unwrap_or_else(|| panic!("`{step}` begins before it is done"));
        *begun = Some(result.to_owned());
        Ok(())
    }
}

/// A journal that can keep nothing.
struct ClosedJournal;

#[async_trait]
impl Journal for ClosedJournal {
    async fn begin(&self, _step: &str) -> Result<Earlier> {
        Err(Error::new(ErrorKind::Unavailable, "the journal cannot be written"))
    }

    async fn done(&self, step: &str, _result: &str) -> Result<()> {
        panic!("`{step}` is done though it could not begin");
    }
}

fn default_table(capability: &TableCapability) -> Table {
    let columns: Vec<Column> = capability.default_columns().map(Column::at).collect();
    let index_of = |path: &&str| columns.iter().position(|column| column.path == *path);
    let key = capability.identity.iter().map(|path| index_of(path).expect("the default columns hold the identity"));
    Table { name: capability.name.to_owned(), key: key.collect(), columns }
}

async fn check_export(connector: &dyn Connector, tables: &[Table], capabilities: &[TableCapability]) {
    let batches: Vec<RecordBatch> = connector.export(tables).try_collect().await.expect("all tables can be exported");
    let mut identities: Vec<BTreeSet<Vec<String>>> = vec![BTreeSet::new(); tables.len()];
    for batch in &batches {
        for record in batch.records.iter() {
            let cells: Vec<&str> = record.collect();
            let table = &tables[batch.table];
            assert_eq!(cells.len(), table.columns.len(), "a record of `{}` has one cell a column", table.name);
            let key: Vec<String> = table.key.iter().map(|&index| cells[index].to_owned()).collect();
            assert!(key.iter().all(|cell| !cell.is_empty()), "no identity in `{}` is empty", table.name);
            identities[batch.table].insert(key);
        }
    }
    for (capability, records) in capabilities.iter().zip(&identities) {
        assert!(!records.is_empty(), "`{}` has records to test with", capability.name);
        for (place, side) in capability.sides.iter().enumerate() {
            let target = capabilities.iter().position(|table| table.name == side.table);
            let target =
                target.unwrap_or_else(|| panic!("`{}` is a table, `{}` points at it", side.table, side.column));
            let dangling = records.iter().find(|record| !identities[target].contains(&record[place..=place]));
            assert_eq!(dangling, None, "every `{}` of `{}` is a record", side.column, capability.name);
        }
    }
}

async fn check_unknown_column(connector: &dyn Connector, table: &Table) {
    let mut table = table.clone();
    table.columns.push(Column::at("noSuchColumn"));
    let answer: Result<Vec<RecordBatch>> = connector.export(&[table]).try_collect().await;
    let kind = answer.expect_err("a column the system does not know is refused").kind();
    assert_eq!(kind, ErrorKind::Settings, "an unknown column is the mapping's fault");
}

/// A connector that resets passwords says of an account that is not there that it is not there, whoever asks.
async fn check_unknown_account(connector: &dyn Connector) {
    let nobody = "nobody-of-this-name@example.invalid";
    let found = connector.find_account(nobody).await.map(|account| account.key).expect_err("nobody has this login");
    let reset = PasswordReset::new(nobody, PasswordAction::Unlock);
    let unlocked = connector.reset_password(&reset).await.expect_err("nobody can be unlocked under this name");
    assert_eq!(found.kind(), unlocked.kind(), "both verbs are offered, or none");
    assert!(matches!(found.kind(), ErrorKind::NotFound | ErrorKind::Unsupported), "an account is missing: {found}");
}
