//! The tables and columns that a managed system has now, as the vendor's `<ConnectionTable>` XML.
//!
//! Dates are `String`, as in the vendor's own samples: their text is exported unchanged.

use std::io::Write;

use connector_api::{ColumnKind, TableSchema};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

const NAMESPACE: &str = "urn:schemas-usercube-com:configuration";

/// The vendor's number for a kind of values.
fn value_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "3",
        ColumnKind::Boolean => "5",
        ColumnKind::Number => "7",
        _ => "0",
    }
}

/// The tables as one `ConfigurationFile`.
///
/// # Errors
/// None that memory does not give.
pub fn write(connection: &str, schema: &[TableSchema]) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    writer.write_event(Event::Start(BytesStart::new("ConfigurationFile").with_attributes([("xmlns", NAMESPACE)])))?;
    for table in schema {
        let identifier = format!("{connection}_{}", table.name);
        let start = BytesStart::new("ConnectionTable").with_attributes([
            ("Connection", connection),
            ("Identifier", identifier.as_str()),
            ("DisplayName", table.name.as_str()),
        ]);
        writer.write_event(Event::Start(start))?;
        for column in &table.columns {
            let column = BytesStart::new("Column").with_attributes([
                ("Identifier", column.path.as_str()),
                ("DisplayName", column.display_name.as_str()),
                ("KeyType", if column.key { "1" } else { "0" }),
                ("IsMultivalued", if column.multivalued { "true" } else { "false" }),
                ("ValueType", value_type(column.kind)),
            ]);
            writer.write_event(Event::Empty(column))?;
        }
        writer.write_event(Event::End(BytesEnd::new("ConnectionTable")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("ConfigurationFile")))?;
    writer.write_event(Event::Text(BytesText::new("\n")))?;
    let mut xml = writer.into_inner();
    xml.flush()?;
    Ok(xml)
}

#[cfg(test)]
mod tests {
    use connector_api::ColumnSchema;

    use super::*;

    #[test]
    fn columns_become_the_vendors_xml_with_everything_escaped() {
        let column = |path: &str, kind, key| ColumnSchema {
            path: path.to_owned(),
            display_name: "a \"b\" & <c>".to_owned(),
            kind,
            multivalued: false,
            key,
        };
        let columns = vec![column("id", ColumnKind::Text, true), column("profile.age", ColumnKind::Integer, false)];
        let schema = [TableSchema { name: "users".to_owned(), columns }];
        let xml = String::from_utf8(write("Okta", &schema).unwrap()).unwrap();
        assert!(
            xml.contains(r#"<ConnectionTable Connection="Okta" Identifier="Okta_users" DisplayName="users">"#),
            "{xml}"
        );
        assert!(xml.contains(r#"DisplayName="a &quot;b&quot; &amp; &lt;c&gt;" KeyType="1""#), "{xml}");
        assert!(xml.contains(r#"Identifier="profile.age""#) && xml.contains(r#"ValueType="3""#), "{xml}");
    }
}
