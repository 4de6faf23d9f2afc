//! The tests that every connector passes: what `Capabilities` promise, the verbs keep.
//!
//! A connector's own tests open it against a system with at least one record in every table and call [`check`].
//! The rules are those of [`Connector`].

use std::collections::BTreeSet;

use futures::TryStreamExt;

use crate::{
    capabilities::TableCapability,
    connector::Connector,
    error::{ErrorKind, Result},
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
