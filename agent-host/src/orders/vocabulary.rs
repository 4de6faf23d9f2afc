//! What the words of an order mean on one connection: entity types, properties, navigations, resource types.
//!
//! Made once from the mapping; looking a word up ignores case. What the mapping does not say is no column: nothing is
//! guessed from the spelling of a property.

use std::collections::HashMap;

use connector_api::{
    Capabilities, ConnectionId, Mapping, Result,
    mapping::{EntityTypeMapping, Navigation, NavigationPlace, OktaResourceTypeMapping, PasswordResetSettings},
};

/// The words of one connection.
#[derive(Debug)]
pub struct Vocabulary<'a> {
    connection: &'a ConnectionId,
    capabilities: &'a Capabilities,
    entities: Vec<Entity<'a>>,
    /// Connections that entity types are mapped to, other than this one.
    elsewhere: HashMap<String, &'a str>,
    resource_types: HashMap<String, &'a OktaResourceTypeMapping>,
    navigations: HashMap<(String, String), Navigation>,
    passwords: HashMap<String, &'a PasswordResetSettings>,
}

/// An entity type as it is mapped to one table of the connection.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    pub(super) name: &'a str,
    pub(super) table: &'static str,
    pub(super) connection_table: &'a str,
    /// By property in lower case: the column, if it is mapped to one.
    pub(super) properties: HashMap<String, Option<&'a str>>,
    /// The property and the column of the primary key.
    pub(super) key: Option<(&'a str, &'a str)>,
    /// The properties and columns of the other unique keys.
    pub(super) unique: Vec<(&'a str, &'a str)>,
}

impl<'a> Vocabulary<'a> {
    /// The words of `connection`, whose connector has `capabilities`.
    ///
    /// # Errors
    /// Of kind `Settings`: an association that leads nowhere.
    pub fn new(mapping: &'a Mapping, connection: &'a ConnectionId, capabilities: &'a Capabilities) -> Result<Self> {
        let mut elsewhere = HashMap::new();
        let mut entities = Vec::new();
        for mapped in &mapping.entity_type_mappings {
            let table = connection.table_of(&mapped.connection_table);
            match table.and_then(|table| capabilities.table(table)) {
                Some(capability) => entities.push(Entity::new(mapped, capability.name)),
                None => {
                    let other = mapped.connection_table.split_once('_').map_or("", |(other, _)| other);
                    elsewhere.entry(mapped.identifier.to_lowercase()).or_insert(other);
                }
            }
        }
        let mut navigations = HashMap::new();
        for navigation in mapping.navigations(connection, capabilities)? {
            let property = &navigation.property;
            let name = (property.entity_type.to_lowercase(), property.property.to_lowercase());
            navigations.entry(name).or_insert(navigation);
        }
        let mut resource_types = HashMap::new();
        for declared in &mapping.resource_type_mappings {
            resource_types.entry(declared.identifier.to_lowercase()).or_insert(declared);
        }
        let mut passwords = HashMap::new();
        for declared in &mapping.password_reset_settings {
            passwords.entry(declared.identifier.to_lowercase()).or_insert(declared);
        }
        Ok(Self { connection, capabilities, entities, elsewhere, resource_types, navigations, passwords })
    }

    pub(super) fn connection(&self) -> &ConnectionId {
        self.connection
    }

    pub(super) fn resource_type(&self, name: &str) -> Option<&'a OktaResourceTypeMapping> {
        self.resource_types.get(&name.to_lowercase()).copied()
    }

    pub(super) fn password_settings(&self, name: &str) -> Option<&'a PasswordResetSettings> {
        self.passwords.get(&name.to_lowercase()).copied()
    }

    /// The entity type of this name, as it is mapped to `table` where that is given.
    ///
    /// # Errors
    /// The reason why there is not exactly one.
    pub(super) fn entity(&self, name: Option<&str>, table: Option<&str>) -> Result<&Entity<'a>, String> {
        if let Some(table) = table.filter(|table| self.capabilities.table(table).is_none()) {
            return Err(format!("`DefaultObjectClass` names `{table}`, which is no table of `{}`", self.connection));
        }
        let fits = |entity: &&Entity<'a>| {
            name.is_none_or(|name| entity.name.eq_ignore_ascii_case(name))
                && table.is_none_or(|table| entity.table.eq_ignore_ascii_case(table))
        };
        let found: Vec<&Entity<'a>> = self.entities.iter().filter(fits).collect();
        match (found.as_slice(), name, table) {
            ([only], ..) => Ok(only),
            ([], Some(name), _) => Err(self.not_mapped(name, table)),
            ([], None, _) => Err("its `ResourceType.TargetEntityType.Identifier` is missing".to_owned()),
            ([first, second, ..], ..) => Err(format!(
                "it may be for `{}` or for `{}`: give the resource type a `DefaultObjectClass`",
                first.connection_table, second.connection_table
            )),
        }
    }

    /// What the property leads to, if it is a navigation.
    pub(super) fn navigation(&self, entity: &Entity<'_>, property: &str) -> Option<&Navigation> {
        let name = (entity.name.to_lowercase(), property.to_lowercase());
        let kept_here = |navigation: &&Navigation| match &navigation.place {
            NavigationPlace::Links { table, side } => {
                let sides = self.capabilities.table(table).map_or(&[][..], |table| table.sides);
                sides.get(*side).is_some_and(|side| side.table == entity.table)
            }
            NavigationPlace::Column { table, .. } => *table == entity.table,
        };
        self.navigations.get(&name).filter(kept_here)
    }

    /// The properties of the other side of a navigation by which a record is named, best first, each with its column.
    pub(super) fn names_of_other<'b>(&'b self, navigation: &'b Navigation) -> Vec<(Option<&'b str>, &'b str)> {
        let table = match &navigation.place {
            NavigationPlace::Links { table, side } => {
                let sides = self.capabilities.table(table).map_or(&[][..], |table| table.sides);
                sides.get(1 - side).map(|side| side.table)
            }
            NavigationPlace::Column { .. } => None,
        };
        let of_other = |entity: &&Entity<'a>| {
            entity.name.eq_ignore_ascii_case(&navigation.other) && table.is_none_or(|table| entity.table == table)
        };
        if let Some(entity) = self.entities.iter().find(of_other) {
            let named = navigation
                .other_property
                .as_deref()
                .and_then(|property| Some((property, (*entity.properties.get(&property.to_lowercase())?)?)));
            let names = named.into_iter().chain(entity.key).chain(entity.unique.iter().copied());
            return names.map(|(property, column)| (Some(property), column)).collect();
        }
        let identity = table.and_then(|table| self.capabilities.table(table)).and_then(|it| it.identity.first());
        identity.map(|column| (navigation.other_property.as_deref(), *column)).into_iter().collect()
    }

    fn not_mapped(&self, name: &str, table: Option<&str>) -> String {
        match (self.elsewhere.get(&name.to_lowercase()), table) {
            (Some(other), _) => {
                format!("it is for the connection `{other}`: `{name}` is not mapped to `{}`", self.connection)
            }
            (None, Some(table)) => {
                format!("the entity type `{name}` is not mapped to `{}_{table}`", self.connection)
            }
            (None, None) => format!("the entity type `{name}` is not known to the mapping of `{}`", self.connection),
        }
    }
}

impl<'a> Entity<'a> {
    fn new(mapped: &'a EntityTypeMapping, table: &'static str) -> Self {
        let mut properties = HashMap::new();
        for property in &mapped.properties {
            properties.entry(property.identifier.to_lowercase()).or_insert(property.connection_column.as_deref());
        }
        let named = |wanted: bool| {
            let keys = mapped.properties.iter().filter(move |property| property.is_primary_key == wanted);
            keys.filter(|property| property.is_primary_key || property.is_unique_key)
                .filter_map(|property| Some((property.identifier.as_str(), property.connection_column.as_deref()?)))
        };
        Self {
            name: &mapped.identifier,
            table,
            connection_table: &mapped.connection_table,
            properties,
            key: named(true).next(),
            unique: named(false).collect(),
        }
    }
}
