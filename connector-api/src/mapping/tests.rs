//! What the tests of the mapping share: files of text, a connector with five tables, and one way to read and compare.

mod jobs;
mod limits;
mod reading;
mod tables;

use super::{Mapping, Warning};
use crate::{Capabilities, Result, Side, Table, TableCapability};

fn read(files: &[(&str, &str)]) -> Result<(Mapping, Vec<Warning>)> {
    let mut reader = Mapping::reader();
    for (name, xml) in files {
        reader.read(name, xml.as_bytes())?;
    }
    reader.finish()
}

/// The tables of the connection `Okta`, each as `name: column,column [key]`.
fn tables(xml: &str) -> Result<Vec<String>> {
    let (mapping, _) = read(&[("a.xml", xml)])?;
    Ok(mapping.tables(&"Okta".parse()?, &capabilities())?.iter().map(shown).collect())
}

fn shown(table: &Table) -> String {
    let cell = |column: &crate::Column| match &column.path {
        path if *path == column.name => path.clone(),
        path => format!("{}={path}", column.name),
    };
    let columns: Vec<String> = table.columns.iter().map(cell).collect();
    let key: Vec<&str> = table.key.iter().map(|&index| table.columns[index].name.as_str()).collect();
    format!("{}: {} [{}]", table.name, columns.join(","), key.join(","))
}

fn capabilities() -> Capabilities {
    const ENTITY: TableCapability = TableCapability {
        name: "",
        fields: &["id"],
        default_attributes: &[],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    };
    const GROUP: Side = Side { table: "groups", column: "groupId", aliases: &["group.id", "group"] };
    const USER: Side = Side { table: "users", column: "userId", aliases: &["user.id", "user"] };
    const APP: Side = Side { table: "apps", column: "appId", aliases: &["app.id", "app"] };
    let users = &[
        "id",
        "status",
        "created",
        "activated",
        "statusChanged",
        "lastLogin",
        "lastUpdated",
        "passwordChanged",
        "type.id",
    ];
    Capabilities {
        tables: vec![
            TableCapability { name: "users", fields: users, ..ENTITY },
            TableCapability {
                name: "groups",
                fields: &["id", "created", "lastUpdated", "lastMembershipUpdated", "type"],
                default_attributes: &["profile.name"],
                ..ENTITY
            },
            TableCapability {
                name: "apps",
                fields: &["id", "created", "lastUpdated", "status", "name", "label"],
                ..ENTITY
            },
            TableCapability {
                name: "groupsusers",
                fields: &["groupId", "userId"],
                identity: &["groupId", "userId"],
                sides: &[GROUP, USER],
                ..ENTITY
            },
            TableCapability {
                name: "groupsapps",
                fields: &["groupId", "appId"],
                identity: &["groupId", "appId"],
                sides: &[GROUP, APP],
                ..ENTITY
            },
        ],
    }
}
