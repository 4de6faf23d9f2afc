//! The vendor's page on its Okta connector: its XML, as printed, gives its headers, as printed.
//!
//! The page belongs to the vendor and is read where a copy lies beside the workspace; else there is nothing to test.

use std::{fs, path::Path};

use connector_api::{Capabilities, Mapping, TableCapability};

#[test]
fn the_printed_xml_gives_the_printed_headers() {
    let Some(page) = page() else { return println!("no copy of the vendor's page: nothing to compare with") };
    let samples: Vec<&str> = blocks(&page).filter(|block| block.trim_start().starts_with("<EntityType ")).collect();
    assert_eq!(samples.len(), 3, "users, groups and applications");
    let mut reader = Mapping::reader();
    for (index, sample) in samples.iter().enumerate() {
        reader.read(&format!("{index}.xml"), sample.as_bytes()).unwrap();
    }
    let (mapping, warnings) = reader.finish().unwrap();
    let tables = mapping.tables(&"OktaExportFulfillment".parse().unwrap(), &capabilities()).unwrap();

    let headers: Vec<&str> = blocks(&page).map(str::trim).filter(|block| block.starts_with("id, ")).collect();
    assert_eq!(headers.len(), 3, "users, groups and applications");
    for (header, table) in headers.iter().zip(&tables) {
        // The users' sample leaves out what `….` stands for.
        let elided = ["status", "statusChanged", "type.id"];
        let is_printed = |column: &&str| table.name != "users" || !elided.contains(column);
        let header: Vec<&str> = header.split(", ").filter(is_printed).collect();
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, header, "the header of `{}`", table.name);
        assert_eq!(table.key, [0]);
    }
    for expected in [
        "0.xml:2:5: no association is declared for `Groups` of `User`",
        "0.xml:15:1: text outside of attributes means nothing and is left out",
        "0.xml:17:3: the connector `Okta` is not declared",
        "0.xml:18:5: the entity type `User` has no property `OktaExportFulfillment_users_id`",
    ] {
        assert!(warnings.iter().any(|warning| warning.to_string() == expected), "{expected} in {warnings:#?}");
    }
}

/// The three tables of the page, with the fields of Okta's API in Okta's order.
fn capabilities() -> Capabilities {
    let table = |name, fields| TableCapability {
        name,
        fields,
        default_attributes: &[],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    };
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
    let groups = &["id", "created", "lastUpdated", "lastMembershipUpdated", "type"];
    let apps = &["id", "created", "lastUpdated", "status", "name", "label"];
    Capabilities { tables: vec![table("users", users), table("groups", groups), table("apps", apps)] }
}

fn page() -> Option<String> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/seeds");
    let names = fs::read_dir(seeds).ok()?.filter_map(|entry| entry.ok()).map(|entry| entry.path());
    let page = names.into_iter().find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("002")));
    fs::read_to_string(page?).ok()
}

/// The texts between fences.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').map_or("", |(_language, text)| text))
}
