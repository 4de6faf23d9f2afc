//! `agent-host refresh-schema`: the tables and columns of the managed system, as XML or JSON.

use std::collections::BTreeMap;

use connector_api::{ColumnKind, ColumnSchema};
use serde::Serialize;

use crate::{agent::Agent, schema_xml};

use super::{Format, print};

#[derive(Serialize)]
struct Report<'a> {
    connection: &'a str,
    tables: BTreeMap<&'a str, Vec<ColumnReport<'a>>>,
}

#[derive(Serialize)]
struct ColumnReport<'a> {
    column: &'a str,
    display_name: &'a str,
    kind: &'static str,
    multivalued: bool,
    key: bool,
}

pub(super) async fn run(agent: &Agent, format: Format, name: &str) -> anyhow::Result<()> {
    let opened = agent.connection(name)?;
    let connection = opened.settings.id().as_str();
    let schema = opened.connector.schema().await?;
    let tables = schema.iter().map(|table| (table.name.as_str(), table.columns.iter().map(describe).collect()));
    let report = Report { connection, tables: tables.collect() };
    let xml = schema_xml::write(connection, &schema)?;
    print(format, &report, |out| out.write_all(&xml))?;
    Ok(())
}

fn describe(column: &ColumnSchema) -> ColumnReport<'_> {
    ColumnReport {
        column: &column.path,
        display_name: &column.display_name,
        kind: match column.kind {
            ColumnKind::Integer => "integer",
            ColumnKind::Number => "number",
            ColumnKind::Boolean => "boolean",
            ColumnKind::DateTime => "datetime",
            ColumnKind::Object => "object",
            _ => "text",
        },
        multivalued: column.multivalued,
        key: column.key,
    }
}
