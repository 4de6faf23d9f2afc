//! The section `Imports` of one import, read and checked: where records come from, what accounts are made of, and what
//! becomes of those who left.
//!
//! Accounts are spoken of in the properties of their entity type, as orders are; a column's name does as well.

use std::cell::RefCell;

use connector_api::{Error, ErrorKind, Result, mapping::EntityTypeMapping};

use super::template::Template;
use crate::{agent::Agent, settings::Section};

/// The share of followed accounts that may leave at once where nothing is said, in percent …
const MAX_LEAVERS_PERCENT: u64 = 10;
/// … and what it never falls below.
const MAX_LEAVERS_FLOOR: u64 = 5;

/// One import.
#[derive(Debug)]
pub(super) struct ImportSettings {
    /// As it is spelt.
    pub(super) name: String,
    /// Connection and table that records come from.
    pub(super) source: (String, String),
    /// Connection and table of the accounts.
    pub(super) target: (String, String),
    /// Columns of the source that are read; the first holds the key.
    pub(super) columns: Vec<String>,
    /// Which records count: the column's place, and the values it may have.
    pub(super) wanted: Vec<(usize, Vec<String>)>,
    /// The entity type of the accounts.
    pub(super) entity: String,
    /// The resource type of orders, which says how first passwords are made.
    pub(super) resource_type: String,
    /// The property by which accounts are met.
    pub(super) key: Property,
    /// The primary key of accounts.
    pub(super) id: Property,
    /// The state of accounts.
    pub(super) status: Property,
    /// What accounts are made of; the last `scope` say which accounts follow the source.
    pub(super) map: Vec<(Property, Template)>,
    pub(super) scope: usize,
    /// What orders carry of the person, for those who are told of first passwords.
    pub(super) owner: Vec<(String, Template)>,
    pub(super) leavers: Leavers,
    pub(super) reactivates: bool,
    pub(super) max_leavers: MaxLeavers,
}

/// A property and its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) column: String,
}

/// What becomes of accounts whose person is not in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leavers {
    Nothing,
    Suspend,
    Deactivate,
    Delete,
}

impl Leavers {
    /// The state they are brought to.
    pub(super) fn state(self) -> Option<&'static str> {
        match self {
            Self::Suspend => Some("SUSPENDED"),
            Self::Deactivate => Some("DEPROVISIONED"),
            Self::Nothing | Self::Delete => None,
        }
    }
}

/// How many may leave in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaxLeavers {
    Number(u64),
    Percent { percent: u64 },
}

impl MaxLeavers {
    /// The most of so many accounts.
    pub(super) fn of(self, followed: u64) -> u64 {
        match self {
            Self::Number(most) => most,
            Self::Percent { percent } => (followed * percent / 100).max(MAX_LEAVERS_FLOOR),
        }
    }
}

/// The names of all imports.
pub(crate) fn names(agent: &Agent) -> Vec<String> {
    agent.settings.names_below("Imports")
}

/// The connection whose accounts an import makes follow.
///
/// # Errors
/// Of kind `Settings`.
pub(crate) fn target_of(agent: &Agent, name: &str) -> Result<(String, String)> {
    let (name, place) = place(agent, name)?;
    let (connection, _) = connection_table(agent, &agent.settings.section(&[&place]), "To")?;
    Ok((name, connection))
}

/// The connection whose records an import reads.
///
/// # Errors
/// Of kind `Settings`.
pub(crate) fn source_of(agent: &Agent, name: &str) -> Result<String> {
    let (_, place) = place(agent, name)?;
    Ok(connection_table(agent, &agent.settings.section(&[&place]), "From")?.0)
}

impl ImportSettings {
    /// # Errors
    /// Of kind `Settings`, with the place of what is wrong.
    pub(super) fn read(agent: &Agent, name: &str) -> Result<Self> {
        let (name, place) = place(agent, name)?;
        let section = agent.settings.section(&[&place]);
        let source = connection_table(agent, &section, "From")?;
        let target = connection_table(agent, &section, "To")?;
        let entity = entity(agent, &section, &target)?;
        let property = |key: &str, name: &str| property(&section, entity, key, name);
        let matched = section.pairs("Match");
        let [(matched, from)] = matched.as_slice() else {
            let error = section.error("Match", "does not name one property and the column it is found in");
            return Err(error.with_hint("write `\"Match\": { \"profile_employeeNumber\": \"EmployeeId\" }`"));
        };
        let key = property("Match", matched)?;
        let columns = RefCell::new(vec![from.trim_matches(['{', '}']).trim().to_owned()]);
        let place_of = |name: &str| {
            let mut columns = columns.borrow_mut();
            let known = columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            known.unwrap_or_else(|| {
                columns.push(name.to_owned());
                columns.len() - 1
            })
        };
        let wanted = section.pairs("Where").into_iter().map(|(column, values)| {
            (place_of(column), values.split('|').map(|value| value.trim().to_owned()).collect())
        });
        let wanted: Vec<(usize, Vec<String>)> = wanted.collect();
        let (map, scope) = values(&section, entity, &key, place_of)?;
        let owner = section.pairs("Owner").into_iter().map(|(name, text)| {
            let template = Template::parse(text, place_of);
            Ok((name.to_owned(), template.map_err(|why| section.error(&format!("Owner:{name}"), why))?))
        });
        let owner = owner.collect::<Result<_>>()?;
        let leavers = section.choice("Leavers", Leavers::Nothing, &LEAVERS)?;
        if leavers != Leavers::Nothing && scope == 0 {
            let error =
                section.error("Leavers", "takes accounts away, and `Scope` does not say which follow this source");
            return Err(error.with_hint("write `\"Scope\": { \"profile_userType\": \"Employee\" }`, say"));
        }
        let id = entity.properties.iter().find(|property| property.is_primary_key);
        let id =
            id.and_then(|it| Some(Property { name: it.identifier.clone(), column: it.connection_column.clone()? }));
        let id = id.ok_or_else(|| section.error("To", "is mapped without a primary key"))?;
        Ok(Self {
            name,
            source,
            target,
            columns: columns.into_inner(),
            wanted,
            entity: entity.identifier.clone(),
            resource_type: section.text("ResourceType").unwrap_or_default().to_owned(),
            key,
            id,
            status: property("Leavers", "status")?,
            map,
            scope,
            owner,
            leavers,
            reactivates: section.choice("Rehires", true, &[("Activate", true), ("Nothing", false)])?,
            max_leavers: max_leavers(&section)?,
        })
    }
}

const LEAVERS: [(&str, Leavers); 4] = [
    ("Nothing", Leavers::Nothing),
    ("Suspend", Leavers::Suspend),
    ("Deactivate", Leavers::Deactivate),
    ("Delete", Leavers::Delete),
];

/// The import's name as it is spelt, and its section.
fn place(agent: &Agent, name: &str) -> Result<(String, String)> {
    let known = names(agent);
    match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => Ok((known.clone(), format!("Imports:{known}"))),
        None if known.is_empty() => {
            let error = Error::new(ErrorKind::Settings, format!("there is no import `{name}`: there are none"));
            Err(error.with_hint("describe it in the section `Imports` of appsettings.agent.json"))
        }
        None => Err(Error::new(ErrorKind::Settings, format!("there is no import `{name}`"))
            .with_hint(format!("name one of {}", known.join(", ")))),
    }
}

/// `<connection>_<table>`, of a connection of the settings.
fn connection_table(agent: &Agent, section: &Section<'_>, key: &str) -> Result<(String, String)> {
    let text = section.text(key).unwrap_or_default();
    let split = text.split_once('_').filter(|(_, table)| !table.is_empty());
    let (connection, table) = split.ok_or_else(|| {
        let what = if text.is_empty() { "is missing" } else { "is no `<connection>_<table>`" };
        section.error(key, what).with_hint("write `People_records` or `OktaExportFulfillment_users`, say")
    })?;
    let settings = agent.settings.connection(connection).map_err(|error| {
        let hint = error.hint().unwrap_or_default().to_owned();
        section.error(key, "names no connection of the settings").with_hint(hint)
    })?;
    Ok((settings.id().as_str().to_owned(), table.to_owned()))
}

/// The one entity type that is mapped to the table of the accounts.
fn entity<'a>(agent: &'a Agent, section: &Section<'_>, target: &(String, String)) -> Result<&'a EntityTypeMapping> {
    let table = format!("{}_{}", target.0, target.1);
    let mut mapped =
        agent.mapping.entity_type_mappings.iter().filter(|it| it.connection_table.eq_ignore_ascii_case(&table));
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let error = section.error("To", format_args!("names `{table}`, to which no entity type is mapped"));
            Err(error.with_hint("write an `<EntityTypeMapping>` with the properties that the import gives"))
        }
        (Some(_), Some(_)) => {
            let error = section.error("To", format_args!("names `{table}`, to which several entity types are mapped"));
            Err(error.with_hint("map one entity type to it"))
        }
    }
}

fn property(section: &Section<'_>, entity: &EntityTypeMapping, key: &str, name: &str) -> Result<Property> {
    let by_name = entity.properties.iter().find(|property| property.identifier.eq_ignore_ascii_case(name));
    let by_column = || {
        let is_column = |column: &String| column.eq_ignore_ascii_case(name);
        entity.properties.iter().find(|property| property.connection_column.as_ref().is_some_and(is_column))
    };
    let found = by_name.or_else(by_column);
    let found =
        found.and_then(|it| Some(Property { name: it.identifier.clone(), column: it.connection_column.clone()? }));
    found.ok_or_else(|| {
        let what = format!("needs the property `{name}` of `{}`, which is mapped to no column", entity.identifier);
        section.error(key, what).with_hint(format!("add it to the mapping in {}", entity.position))
    })
}

/// What accounts are made of: `Map`, then `Scope`, and how many are of the latter.
fn values(
    section: &Section<'_>,
    entity: &EntityTypeMapping,
    key: &Property,
    mut place_of: impl FnMut(&str) -> usize,
) -> Result<(Vec<(Property, Template)>, usize)> {
    let mut map: Vec<(Property, Template)> = Vec::new();
    let mut scope = 0;
    for (list, is_scope) in [("Map", false), ("Scope", true)] {
        for (name, text) in section.pairs(list) {
            let at = format!("{list}:{name}");
            let property = property(section, entity, &at, name)?;
            let is_taken = property == *key || map.iter().any(|(known, _)| *known == property);
            if is_taken || ["status", "id"].iter().any(|own| property.column.eq_ignore_ascii_case(own)) {
                let what = "cannot be given here: it is matched, given twice, or told by `Leavers`";
                return Err(section.error(&at, what).with_hint("leave it out"));
            }
            let template = Template::parse(text, &mut place_of).map_err(|why| section.error(&at, why))?;
            if is_scope && text.contains('{') {
                let error = section.error(&at, "is made of a column, which says nothing of those who left");
                return Err(error.with_hint("write a plain value that all accounts of this source share"));
            }
            scope += usize::from(is_scope);
            map.push((property, template));
        }
    }
    Ok((map, scope))
}

fn max_leavers(section: &Section<'_>) -> Result<MaxLeavers> {
    let Some(text) = section.text("MaxLeavers") else {
        return Ok(MaxLeavers::Percent { percent: MAX_LEAVERS_PERCENT });
    };
    let percent = text.strip_suffix('%').map(str::trim);
    match (percent.unwrap_or(text).parse::<u64>(), percent) {
        (Ok(percent), Some(_)) if percent <= 100 => Ok(MaxLeavers::Percent { percent }),
        (Ok(number), None) => Ok(MaxLeavers::Number(number)),
        _ => Err(section.error("MaxLeavers", "is neither a number nor percent").with_hint("write 50, or `10%`")),
    }
}
