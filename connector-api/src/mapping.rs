//! The mapping: which property of which entity type comes from which column, as an integrator writes it in XML.
//!
//! [`Reader`] reads the files of a `Conf/` folder one after another; [`Mapping::tables`] turns them into the tables
//! that a connector is asked for. Elements that neither export, fulfilment nor password reset needs are kept out.
//! Contradictions load with a [`Warning`]; what cannot be obeyed is an error that begins with `file:line:column: `.
//! Source: the vendor's reference of the XML configuration, one page an element; the names of fields are its names.

mod check;
mod elements;
mod navigations;
mod read;
mod source;
mod tables;
#[cfg(test)]
mod tests;
mod xml;

use std::{fmt, sync::Arc};

use secrecy::SecretString;

use crate::error::{Error, ErrorKind};

pub use navigations::{Navigation, NavigationPlace};
pub use read::Reader;

/// Everything that a `Conf/` folder says about connections and what they carry, in the order in which it was read.
///
/// Identifiers ignore case; where one is declared twice the first counts.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// `<Connection>`.
    pub connections: Vec<Connection>,
    /// `<Connector>`.
    pub connectors: Vec<ConnectorDeclaration>,
    /// `<EntityType>`.
    pub entity_types: Vec<EntityType>,
    /// `<EntityTypeMapping>`.
    pub entity_type_mappings: Vec<EntityTypeMapping>,
    /// `<EntityAssociation>`.
    pub associations: Vec<EntityAssociation>,
    /// `<EntityAssociationMapping>`.
    pub association_mappings: Vec<EntityAssociationMapping>,
    /// `<OktaResourceTypeMapping>`.
    pub resource_type_mappings: Vec<OktaResourceTypeMapping>,
    /// `<PasswordResetSettings>`.
    pub password_reset_settings: Vec<PasswordResetSettings>,
    /// `AllowedSymbolChars` of `<PasswordGenerationSetting>`: the symbols that generated passwords may hold.
    pub allowed_symbol_chars: Option<AllowedSymbols>,
}

impl Mapping {
    /// A reader that has read nothing yet.
    pub fn reader() -> Reader {
        Reader::default()
    }
}

/// A place in a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, as the caller of [`Reader::read`] named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Position {
    fn refuse(&self, message: impl fmt::Display, hint: impl Into<String>) -> Error {
        Error::new(ErrorKind::Settings, format!("{self}: {message}")).with_hint(hint)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that was read in spite of a contradiction, or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is written.
    pub position: Position,
    /// What is odd, in one line.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

/// A way to one managed system; its settings are under the same identifier in the agent's settings.
#[derive(Debug, Clone)]
pub struct Connection {
    /// As written: it need not be a valid [`ConnectionId`](crate::ConnectionId).
    pub identifier: String,
    /// The identifier of its connector.
    pub connector: Option<String>,
    /// The vendor's name for the code behind it, such as `Usercube.AD@0000001`.
    pub package: Option<String>,
    /// What the connection is not to be used for.
    pub deactivation: Deactivation,
    /// Where it is written.
    pub position: Position,
}

/// What a connection is not to be used for: `DeactivationExportFulfill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deactivation {
    /// It serves both ways.
    None,
    /// No export.
    Export,
    /// No fulfilment.
    Fulfill,
}

/// A `<Connector>`: the connections and entity types that belong together. Not the code, which is
/// [`Connector`](crate::Connector).
#[derive(Debug, Clone)]
pub struct ConnectorDeclaration {
    /// Its name.
    pub identifier: String,
    /// Whether neither export nor fulfilment may run for it.
    pub is_deactivated: bool,
    /// Where it is written.
    pub position: Position,
}

/// A type of the host's model.
#[derive(Debug, Clone)]
pub struct EntityType {
    /// Its name.
    pub identifier: String,
    /// Its properties.
    pub properties: Vec<Property>,
    /// Where it is written.
    pub position: Position,
}

/// A property of an entity type.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its name, unique in the entity type.
    pub identifier: String,
    /// The kind of its values.
    pub property_type: PropertyType,
    /// Whether it identifies a record of the host's.
    pub is_key: bool,
    /// Where it is written.
    pub position: Position,
}

/// The kind of a property's values; the vendor's numbers are accepted for the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyType {
    /// 0, the default.
    String,
    /// 1.
    Bytes,
    /// 2.
    Int32,
    /// 3.
    Int64,
    /// 4.
    DateTime,
    /// 5.
    Bool,
    /// 6.
    Guid,
    /// 7.
    Double,
    /// 8.
    Binary,
    /// 9.
    Byte,
    /// 10.
    Int16,
    /// 12: a link to other records.
    ForeignKey,
}

/// An entity type's properties ↔ the columns of one connection table.
#[derive(Debug, Clone)]
pub struct EntityTypeMapping {
    /// The identifier of the entity type.
    pub identifier: String,
    /// The identifier of the connector.
    pub connector: Option<String>,
    /// `<connection>_<table>`.
    pub connection_table: String,
    /// The mapped properties.
    pub properties: Vec<PropertyMapping>,
    /// Where it is written.
    pub position: Position,
}

/// One property of an [`EntityTypeMapping`].
#[derive(Debug, Clone)]
pub struct PropertyMapping {
    /// The identifier of the entity type's property.
    pub identifier: String,
    /// The column; none for a property that only associations fill.
    pub connection_column: Option<String>,
    /// Whether the column is the table's key: exactly one of a mapping is.
    pub is_primary_key: bool,
    /// Whether no two records have the same value.
    pub is_unique_key: bool,
    /// Where it is written.
    pub position: Position,
}

/// A link between the records of two entity types.
#[derive(Debug, Clone)]
pub struct EntityAssociation {
    /// Its name.
    pub identifier: String,
    /// `Property1` and `Property2`: the navigation from either side.
    pub sides: [AssociationSide; 2],
    /// Where it is written.
    pub position: Position,
}

/// One side of an [`EntityAssociation`].
#[derive(Debug, Clone)]
pub struct AssociationSide {
    /// The entity type and its property that holds the link.
    pub property: PropertyReference,
    /// Whether the property may hold several links.
    pub is_collection: bool,
}

/// A property of an entity type, written `Entity:Property`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyReference {
    /// The identifier of the entity type.
    pub entity_type: String,
    /// The identifier of the property.
    pub property: String,
}

impl fmt::Display for PropertyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&format!("{}:{}", self.entity_type, self.property)))
    }
}

/// An association ↔ two columns of one connection table.
#[derive(Debug, Clone)]
pub struct EntityAssociationMapping {
    /// The identifier of the association.
    pub identifier: String,
    /// The identifier of the connector.
    pub connector: Option<String>,
    /// `<connection>_<table>`: a table of links, or an entity type's own.
    pub connection_table: String,
    /// `Column1` and `Column2`.
    pub columns: [AssociationColumn; 2],
    /// Where it is written.
    pub position: Position,
}

/// One column of an [`EntityAssociationMapping`].
#[derive(Debug, Clone)]
pub struct AssociationColumn {
    /// The column.
    pub name: String,
    /// `EntityPropertyMapping1` or `2`: the mapped property whose value the column holds.
    pub property: Option<PropertyReference>,
}

/// How the orders of one resource type are carried out.
#[derive(Debug, Clone)]
pub struct OktaResourceTypeMapping {
    /// The identifier of the resource type.
    pub identifier: String,
    /// The identifier of the connection.
    pub connection: String,
    /// The table that orders are for, where the entity type does not say it, such as `users`.
    pub default_object_class: Option<String>,
    /// The identifier of the [`PasswordResetSettings`].
    pub password_reset_setting: Option<String>,
    /// Where it is written.
    pub position: Position,
}

/// How a password is made and to whom it is told.
#[derive(Debug, Clone)]
pub struct PasswordResetSettings {
    /// Its name.
    pub identifier: String,
    /// Who sets the password.
    pub mode: PasswordResetMode,
    /// Whether the password is generated.
    pub auto_generate: bool,
    /// The password where none is generated.
    pub default_password: Option<SecretString>,
    /// Its length in characters, unless the counts below add up to more. 12 where not written.
    pub generated_length: u32,
    /// At least so many lower case letters. 6 where not written.
    pub generated_lower_case_chars_count: u32,
    /// At least so many upper case letters. 2 where not written.
    pub generated_upper_case_chars_count: u32,
    /// At least so many digits. 2 where not written.
    pub generated_digit_chars_count: u32,
    /// At least so many symbols. 2 where not written.
    pub generated_symbol_chars_count: u32,
    /// The regular expressions that a generated password must match.
    pub strength_check: Vec<String>,
    /// Whether the password must be changed at the first login.
    pub must_change: bool,
    /// Whether nobody is told.
    pub disable_notifications: bool,
    /// Who gets a copy of the mail.
    pub notification_cc: Option<String>,
    /// The path to the address of the person who is told, such as a manager.
    pub notified_email_binding: Option<String>,
    /// The path to that person's name.
    pub notified_full_name_binding: Option<String>,
    /// The path to the address of the person whose password it is.
    pub beneficiary_email_binding: Option<String>,
    /// The path to that person's name.
    pub beneficiary_full_name_binding: Option<String>,
    /// Where it is written.
    pub position: Position,
}

/// The symbols that a generated password may hold.
#[derive(Debug, Clone)]
pub struct AllowedSymbols {
    /// Each of them once or more.
    pub characters: String,
    /// Where it is written.
    pub position: Position,
}

/// Who sets a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordResetMode {
    /// 0, the default: nobody.
    Disabled,
    /// 1: the host sets it and mails it.
    OneWay,
    /// 2: the host mails a link behind which the person sets it.
    TwoWay,
}

/// What a file says, fit for a message of one line: in backticks, without control characters, not too long.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
