//! Whether what the files say agrees, across all files: everything here loads, so nothing here is an error.
//!
//! What keeps a connection's tables from being exported is found when they are asked for, in `tables.rs`.
//! Source: the vendor's samples contradict the vendor's own rules, and people start from the samples.

use std::collections::{HashMap, HashSet};

use super::{
    EntityAssociationMapping, EntityType, EntityTypeMapping, Mapping, Position, PropertyReference, PropertyType,
    quoted, read::Warnings,
};
use crate::settings::ConnectionId;

/// Adds what is odd about `mapping` to `warnings`, what weighs most first.
pub(super) fn check(mapping: &Mapping, warnings: &mut Warnings) {
    let declared = Declared::of(mapping, warnings);
    for connection in &mapping.connections {
        let (identifier, position) = (&connection.identifier, &connection.position);
        if identifier.parse::<ConnectionId>().is_err() {
            let rule = "a letter first, then letters, digits, `.` and `-`; `_` separates connection and table";
            warnings.push(position, format!("{} is no connection identifier: {rule}", quoted(identifier)));
        }
        declared.check_connector(connection.connector.as_deref(), position, warnings);
    }
    for mapping in &mapping.entity_type_mappings {
        declared.check_connection_table(&mapping.connection_table, &mapping.position, warnings);
        declared.check_connector(mapping.connector.as_deref(), &mapping.position, warnings);
    }
    for association in &mapping.association_mappings {
        declared.check_connection_table(&association.connection_table, &association.position, warnings);
        declared.check_connector(association.connector.as_deref(), &association.position, warnings);
        declared.check_association_mapping(association, warnings);
    }
    for resource_type in &mapping.resource_type_mappings {
        declared.check_connection(&resource_type.connection, &resource_type.position, warnings);
        if let Some(setting) = &resource_type.password_reset_setting
            && !declared.password_reset_settings.contains(&setting.to_lowercase())
        {
            let message = format!("the password reset settings {} are not declared", quoted(setting));
            warnings.push(&resource_type.position, message);
        }
    }
    for mapping in &mapping.entity_type_mappings {
        declared.check_properties(mapping, warnings);
    }
    for entity_type in &mapping.entity_types {
        declared.check_entity_type(entity_type, warnings);
    }
}

/// What the files declare, by identifiers in lower case.
struct Declared {
    connections: HashSet<String>,
    connectors: HashSet<String>,
    associations: HashSet<String>,
    password_reset_settings: HashSet<String>,
    /// The properties of each entity type.
    entity_types: HashMap<String, HashSet<String>>,
    /// Whether a property of an entity type has unique values, for each one that is mapped.
    mapped: HashMap<(String, String), bool>,
    /// The properties of entity types that are sides of associations.
    navigations: HashSet<(String, String)>,
}

impl Declared {
    fn of(mapping: &Mapping, warnings: &mut Warnings) -> Self {
        let names = |entity_type: &EntityType| {
            let properties = entity_type.properties.iter().map(|property| property.identifier.to_lowercase()).collect();
            (entity_type.identifier.to_lowercase(), properties)
        };
        let mut mapped = HashMap::new();
        for entity in &mapping.entity_type_mappings {
            for property in &entity.properties {
                let name = (entity.identifier.to_lowercase(), property.identifier.to_lowercase());
                *mapped.entry(name).or_default() |= property.is_primary_key || property.is_unique_key;
            }
        }
        identifiers(mapping.entity_types.iter().map(|e| (&e.identifier, &e.position)), warnings);
        identifiers(mapping.jobs.iter().map(|job| (&job.identifier, &job.position)), warnings);
        identifiers(mapping.resource_type_mappings.iter().map(|r| (&r.identifier, &r.position)), warnings);
        let connections = mapping.connections.iter().map(|c| (&c.identifier, &c.position));
        let connectors = mapping.connectors.iter().map(|c| (&c.identifier, &c.position));
        let associations = mapping.associations.iter().map(|a| (&a.identifier, &a.position));
        let settings = mapping.password_reset_settings.iter().map(|s| (&s.identifier, &s.position));
        Self {
            connections: identifiers(connections, warnings),
            connectors: identifiers(connectors, warnings),
            associations: identifiers(associations, warnings),
            password_reset_settings: identifiers(settings, warnings),
            entity_types: mapping.entity_types.iter().rev().map(names).collect(),
            mapped,
            navigations: mapping.associations.iter().flat_map(|a| &a.sides).map(|side| name(&side.property)).collect(),
        }
    }

    fn check_connector(&self, connector: Option<&str>, position: &Position, warnings: &mut Warnings) {
        if let Some(connector) = connector.filter(|connector| !self.connectors.contains(&connector.to_lowercase())) {
            warnings.push(position, format!("the connector {} is not declared", quoted(connector)));
        }
    }

    /// A folder without any `<Connection>` leaves them to the settings.
    fn check_connection(&self, connection: &str, position: &Position, warnings: &mut Warnings) {
        if !self.connections.is_empty() && !self.connections.contains(&connection.to_lowercase()) {
            warnings.push(position, format!("the connection {} is not declared", quoted(connection)));
        }
    }

    fn check_connection_table(&self, connection_table: &str, position: &Position, warnings: &mut Warnings) {
        let Some((connection, table)) = connection_table.split_once('_') else { return };
        if table.contains('_') && !self.connections.contains(&connection.to_lowercase()) {
            let (connection, table, whole) = (quoted(connection), quoted(table), quoted(connection_table));
            let message = format!("{whole} is read as the table {table} of {connection}: the first `_` separates them");
            warnings.push(position, format!("{message}, so that no connection identifier can hold one"));
        } else {
            self.check_connection(connection, position, warnings);
        }
    }

    fn check_association_mapping(&self, association: &EntityAssociationMapping, warnings: &mut Warnings) {
        if !self.associations.contains(&association.identifier.to_lowercase()) {
            let message = format!("the association {} is not declared", quoted(&association.identifier));
            warnings.push(&association.position, message);
        }
        for property in association.columns.iter().filter_map(|column| column.property.as_ref()) {
            match self.mapped.get(&name(property)) {
                None => warnings.push(&association.position, format!("{property} is not mapped")),
                Some(false) => {
                    warnings.push(&association.position, format!("{property} is not mapped as a unique key"))
                }
                Some(true) => {}
            }
        }
    }

    fn check_properties(&self, mapping: &EntityTypeMapping, warnings: &mut Warnings) {
        let entity_type = quoted(&mapping.identifier);
        let Some(properties) = self.entity_types.get(&mapping.identifier.to_lowercase()) else {
            return warnings.push(&mapping.position, format!("the entity type {entity_type} is not declared"));
        };
        for property in mapping.properties.iter().filter(|p| !properties.contains(&p.identifier.to_lowercase())) {
            let message = format!("the entity type {entity_type} has no property {}", quoted(&property.identifier));
            warnings.push(&property.position, message);
        }
    }

    fn check_entity_type(&self, entity_type: &EntityType, warnings: &mut Warnings) {
        let identifier = quoted(&entity_type.identifier);
        if !entity_type.properties.iter().any(|property| property.is_key) {
            warnings.push(&entity_type.position, format!("no property of the entity type {identifier} has `IsKey`"));
        }
        for property in &entity_type.properties {
            let name = (entity_type.identifier.to_lowercase(), property.identifier.to_lowercase());
            if property.property_type == PropertyType::ForeignKey && !self.navigations.contains(&name) {
                let message =
                    format!("no association is declared for {} of {identifier}", quoted(&property.identifier));
                warnings.push(&property.position, message);
            }
        }
    }
}

/// The identifiers in lower case; each that comes again is warned about.
fn identifiers<'a>(
    declared: impl Iterator<Item = (&'a String, &'a Position)>,
    warnings: &mut Warnings,
) -> HashSet<String> {
    let mut seen = HashSet::new();
    for (identifier, position) in declared {
        if !seen.insert(identifier.to_lowercase()) {
            warnings.push(position, format!("{} is declared a second time: the first counts", quoted(identifier)));
        }
    }
    seen
}

fn name(property: &PropertyReference) -> (String, String) {
    (property.entity_type.to_lowercase(), property.property.to_lowercase())
}
