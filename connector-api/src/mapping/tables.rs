//! From the mapping of one connection to the tables that its connector is asked for.
//!
//! A table has a column for each `ConnectionColumn` and for each column of an association, spelled as first seen,
//! whatever the case later; the system's own fields come first, in the system's order. A table that no entity type
//! mapping names has the connector's default columns. Whether a column exists is for the connector to say.
//! Source: the vendor's pages on the Okta connector, on EntityTypeMapping and on EntityAssociationMapping.

use std::collections::HashSet;

use super::{AssociationColumn, EntityAssociationMapping, EntityTypeMapping, Mapping, Position, quoted};
use crate::{
    capabilities::{Capabilities, TableCapability},
    error::{Error, Result},
    settings::ConnectionId,
    table::{Column, Table},
};

impl Mapping {
    /// The tables of `connection` that exports hold, in the order of `capabilities`; what is mapped to the others is
    /// checked and left out.
    ///
    /// # Errors
    /// Of kind [`Settings`](crate::ErrorKind::Settings), with the position in front: a table that the connector does not
    /// have, a mapping without its one primary key, or an association that does not lead to identities on both sides.
    pub fn tables(&self, connection: &ConnectionId, capabilities: &Capabilities) -> Result<Vec<Table>> {
        let scope = Scope { mapping: self, connection, capabilities };
        scope.check_tables_exist()?;
        let table = |capability: &TableCapability| match capability.sides {
            [] => scope.entity_table(capability),
            _ => scope.link_table(capability),
        };
        let links_only = capabilities.tables.iter().filter(|capability| !capability.exported);
        for capability in links_only {
            table(capability)?;
        }
        capabilities.exported().map(table).collect()
    }
}

/// What one connection sees of the mapping.
pub(super) struct Scope<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) connection: &'a ConnectionId,
    pub(super) capabilities: &'a Capabilities,
}

impl<'a> Scope<'a> {
    fn check_tables_exist(&self) -> Result<()> {
        let mappings = self.mapping.entity_type_mappings.iter().map(|m| (&m.connection_table, &m.position));
        let associations = self.mapping.association_mappings.iter().map(|a| (&a.connection_table, &a.position));
        for (connection_table, position) in mappings.chain(associations) {
            let table = self.connection.table_of(connection_table);
            let is_unknown = table.is_some_and(|table| self.capabilities.table(table).is_none());
            if is_unknown || self.connection.is(connection_table) {
                let known: Vec<String> = self
                    .capabilities
                    .tables
                    .iter()
                    .map(|table| format!("{}_{}", self.connection, table.name))
                    .collect();
                let message = format!("{} names no table of the connection", quoted(connection_table));
                return Err(position.refuse(message, format!("write one of {}", known.join(", "))));
            }
        }
        Ok(())
    }

    fn is_table(&self, connection_table: &str, name: &str) -> bool {
        self.connection.table_of(connection_table).is_some_and(|table| table.eq_ignore_ascii_case(name))
    }

    fn mappings(&self, table: &str) -> impl Iterator<Item = &'a EntityTypeMapping> {
        self.mapping.entity_type_mappings.iter().filter(move |mapping| self.is_table(&mapping.connection_table, table))
    }

    fn associations(&self, table: &str) -> impl Iterator<Item = &'a EntityAssociationMapping> {
        self.mapping.association_mappings.iter().filter(move |a| self.is_table(&a.connection_table, table))
    }

    fn entity_table(&self, capability: &TableCapability) -> Result<Table> {
        let mut columns = Columns::default();
        let mut primary_keys = Vec::new();
        for mapping in self.mappings(capability.name) {
            primary_keys.push((primary_key(mapping)?, mapping));
            mapping.properties.iter().filter_map(|p| p.connection_column.as_deref()).for_each(|name| columns.add(name));
        }
        if primary_keys.is_empty() {
            capability.default_columns().for_each(|name| columns.add(name));
        }
        for association in self.associations(capability.name) {
            association.columns.iter().for_each(|column| columns.add(&column.name));
        }
        let order = |name: &&str| {
            let place = capability.fields.iter().position(|field| field.eq_ignore_ascii_case(name));
            place.unwrap_or(usize::MAX)
        };
        columns.names.sort_by_key(order);
        let key = key_of(capability, &primary_keys)?;
        Ok(Table {
            name: capability.name.to_owned(),
            key: key.iter().map(|name| columns.index_of(name)).collect(),
            columns: columns.names.into_iter().map(Column::at).collect(),
        })
    }

    fn link_table(&self, capability: &TableCapability) -> Result<Table> {
        let mut names: Vec<Vec<&str>> = vec![Vec::new(); capability.sides.len()];
        for mapping in self.mappings(capability.name) {
            primary_key(mapping)?;
            for property in &mapping.properties {
                let Some(column) = &property.connection_column else { continue };
                let side = side_named(capability, column).ok_or_else(|| {
                    let known: Vec<&str> = capability.sides.iter().map(|side| side.column).collect();
                    let message = format!("{} is no column of `{}`", quoted(column), capability.name);
                    property.position.refuse(message, format!("write one of {}", known.join(", ")))
                })?;
                add_to_side(&mut names, side, column, &property.position)?;
            }
        }
        for association in self.associations(capability.name) {
            let [first, second] = &association.columns;
            let sides = [self.side(capability, association, first)?, self.side(capability, association, second)?];
            if sides[0] == sides[1] {
                let message = format!("both columns of {} lead to one side", quoted(&association.identifier));
                let tables = capability.sides.iter().map(|side| side.table).collect::<Vec<_>>().join(" and to ");
                return Err(association.position.refuse(message, format!("let them lead to {tables}")));
            }
            add_to_side(&mut names, sides[0], &first.name, &association.position)?;
            add_to_side(&mut names, sides[1], &second.name, &association.position)?;
        }
        let mut table = Table { name: capability.name.to_owned(), columns: Vec::new(), key: Vec::new() };
        for (side, mut names) in capability.sides.iter().zip(names) {
            if names.is_empty() {
                names.push(side.column);
            }
            table.key.push(table.columns.len());
            let column = |name: &str| Column { name: name.to_owned(), path: side.column.to_owned() };
            table.columns.extend(names.into_iter().map(column));
        }
        Ok(table)
    }

    /// The side on which a column of an association is: that of the property it leads to; without one, that of its name.
    pub(super) fn side(
        &self,
        capability: &TableCapability,
        association: &EntityAssociationMapping,
        column: &AssociationColumn,
    ) -> Result<usize> {
        let refuse = |message: String| {
            let links: Vec<&str> = capability.sides.iter().map(|side| side.table).collect();
            let hint = format!("let the column lead to the identity of {}", links.join(" or of "));
            let name = quoted(&column.name);
            association.position.refuse(format_args!("the column {name} cannot be filled: {message}"), hint)
        };
        let (table, target) = match self.target(column) {
            Ok(target) => target,
            Err(reason) => {
                let named = column.property.is_none().then(|| side_named(capability, &column.name)).flatten();
                return named.ok_or_else(|| refuse(reason));
            }
        };
        let side = capability.sides.iter().position(|side| side.table.eq_ignore_ascii_case(table));
        let side = side.ok_or_else(|| refuse(format!("`{}` has no link to `{table}`", capability.name)))?;
        let identity = self.capabilities.table(table).map_or(&[][..], |table| table.identity);
        if !matches!(identity, [identity] if identity.eq_ignore_ascii_case(target)) {
            let wanted = identity.join(",");
            return Err(refuse(format!("it leads to {} of `{table}`, but links hold `{wanted}`", quoted(target))));
        }
        Ok(side)
    }

    /// The table and the column to which the property is mapped that an association's column leads to.
    pub(super) fn target(&self, column: &AssociationColumn) -> std::result::Result<(&'a str, &'a str), String> {
        let Some(property) = &column.property else { return Err("it leads to no property".to_owned()) };
        let mappings = self.mapping.entity_type_mappings.iter();
        let mut mappings = mappings
            .filter(|mapping| mapping.identifier.eq_ignore_ascii_case(&property.entity_type))
            .filter_map(|mapping| Some((self.connection.table_of(&mapping.connection_table)?, mapping)))
            .peekable();
        if mappings.peek().is_none() {
            return Err(format!("{property} belongs to no entity type that is mapped to `{}`", self.connection));
        }
        let column_of = |mapping: &'a EntityTypeMapping| {
            let same = mapping.properties.iter().find(|p| p.identifier.eq_ignore_ascii_case(&property.property));
            same.and_then(|property| property.connection_column.as_deref())
        };
        mappings
            .find_map(|(table, mapping)| Some((table, column_of(mapping)?)))
            .ok_or_else(|| format!("{property} is mapped to no column"))
    }
}

/// Column names, each once whatever the case, spelled as first seen.
#[derive(Default)]
struct Columns<'a> {
    names: Vec<&'a str>,
    seen: HashSet<String>,
}

impl<'a> Columns<'a> {
    fn add(&mut self, name: &'a str) {
        if self.seen.insert(name.to_ascii_lowercase()) {
            self.names.push(name);
        }
    }

    fn index_of(&self, name: &str) -> usize {
        let index = self.names.iter().position(|column| column.eq_ignore_ascii_case(name));
        index.expect("keys are columns of their mapping or of the default")
    }
}

/// The column of the one primary key that each mapping has.
fn primary_key(mapping: &EntityTypeMapping) -> Result<&str> {
    let mut keys = mapping.properties.iter().filter(|property| property.is_primary_key);
    let identifier = quoted(&mapping.identifier);
    let key = keys.next().ok_or_else(|| {
        let message = format!("the mapping of {identifier} has no primary key");
        mapping.position.refuse(message, "write `IsPrimaryKey=\"true\"` on the property mapped to `id`")
    })?;
    if let Some(second) = keys.next() {
        let message = format!("the mapping of {identifier} has a second primary key");
        return Err(second.position.refuse(message, "leave one `IsPrimaryKey`; others can be `IsUniqueKey`"));
    }
    key.connection_column.as_deref().ok_or_else(|| {
        let message = format!("the primary key of {identifier} is mapped to no column");
        key.position.refuse(message, "add the attribute `ConnectionColumn`")
    })
}

/// The table's key: one file has one order, and the system's own identity loses no record.
fn key_of<'a>(capability: &TableCapability, keys: &[(&'a str, &EntityTypeMapping)]) -> Result<Vec<&'a str>> {
    let Some(&(first, _)) = keys.first() else { return Ok(capability.identity.to_vec()) };
    if let [identity] = capability.identity
        && let Some(&(key, _)) = keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(identity))
    {
        return Ok(vec![key]);
    }
    match keys.iter().find(|(key, _)| !key.eq_ignore_ascii_case(first)) {
        None => Ok(vec![first]),
        Some((other, mapping)) => Err(two_keys(capability, first, other, mapping)),
    }
}

fn two_keys(capability: &TableCapability, first: &str, other: &str, mapping: &EntityTypeMapping) -> Error {
    let (first, other) = (quoted(first), quoted(other));
    let message = format!("the key of `{}` is {other} here and {first} in another mapping", capability.name);
    mapping.position.refuse(message, format!("use one key, best `{}`", capability.identity.join(",")))
}

fn side_named(capability: &TableCapability, column: &str) -> Option<usize> {
    capability.sides.iter().position(|side| {
        side.column.eq_ignore_ascii_case(column) || side.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(column))
    })
}

fn add_to_side<'a>(names: &mut [Vec<&'a str>], side: usize, name: &'a str, position: &Position) -> Result<()> {
    let holder = names.iter().position(|names| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
    match holder {
        None => names[side].push(name),
        Some(holder) if holder == side => {}
        Some(_) => {
            let message = format!("the column {} stands for both sides of the links", quoted(name));
            return Err(position.refuse(message, "give each side a column of its own"));
        }
    }
    Ok(())
}
