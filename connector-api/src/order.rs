//! Provisioning orders: one change each that is wanted in a managed system, and what came of it.
//!
//! An order speaks in the system's tables and columns; entity types and properties were resolved by the host before.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::password::NewPassword;

/// One change wanted in a managed system.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProvisioningOrder {
    /// The name under which its outcome is reported; unique in the file it came in.
    pub id: String,
    /// What is wanted.
    pub change: ChangeType,
    /// The table of the record, such as `users`.
    pub table: String,
    /// Which record; none for [`ChangeType::Added`].
    pub key: Option<RecordKey>,
    /// The columns that tell two records apart beside the key: what `Added` finds with the same values in all of them
    /// that the order gives is the same record.
    pub unique: Vec<String>,
    /// The wanted values by column, as the mapping spells it. A column that is absent stays as it is; null clears it.
    pub values: BTreeMap<String, Value>,
    /// The links wanted or no longer wanted at the record.
    pub links: Vec<LinkChange>,
    /// The first password of a record that is added, or the new one of a record that is modified.
    pub password: Option<NewPassword>,
}

impl ProvisioningOrder {
    /// An order that changes nothing yet.
    pub fn new(id: impl Into<String>, change: ChangeType, table: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            change,
            table: table.into(),
            key: None,
            unique: Vec::new(),
            values: BTreeMap::new(),
            links: Vec::new(),
            password: None,
        }
    }
}

/// What an order wants of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// That it exists, with these values.
    Added,
    /// That it has these values and links.
    Modified,
    /// That it does not exist.
    Deleted,
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "Added",
            Self::Modified => "Modified",
            Self::Deleted => "Deleted",
        })
    }
}

/// By what a record is found: a column that identifies it and the value it has there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// The column, as the mapping spells it; mostly the table's identity, such as `id`.
    pub column: String,
    /// The value.
    pub value: String,
}

/// One link that is wanted or no longer wanted at the record of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkChange {
    /// The table of links, such as `groupsusers`.
    pub table: String,
    /// Which of the table's [sides](crate::TableCapability::sides) the record of the order is.
    pub side: usize,
    /// The record on the other side.
    pub other: RecordKey,
    /// Whether the link is wanted.
    pub action: LinkAction,
    /// What else the link says, by column, such as `priority`.
    pub values: BTreeMap<String, Value>,
}

/// Whether a link is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// It shall be there.
    Add,
    /// It shall not be there.
    Remove,
}

/// What an order asks for, as far as it can be told without asking the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// The budget that the first write draws on: orders of different lanes need not wait for each other.
    pub lane: &'static str,
    /// Whether it removes its record for good.
    pub deletes: bool,
    /// Whether it takes the use of its record away without removing it.
    pub deactivates: bool,
}

/// What came of an order that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fulfillment {
    /// The identity of the record.
    pub key: String,
    /// Whether anything had to be done.
    pub effect: Effect,
    /// What a reader of the results should know, such as that an account was there and has been adopted.
    pub note: Option<String>,
    /// Whether the record was made by this order, at this attempt or an earlier one, and has the order's password.
    pub has_first_password: bool,
}

/// Whether anything had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something was written.
    Changed,
    /// All was as the order wants it, and nothing was written.
    AlreadyInPlace,
}

/// What an order would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What would happen to the record.
    pub effect: ForeseenEffect,
    /// Attribute by attribute, what would be different. Secrets are never in it.
    pub changes: Vec<AttributeChange>,
    /// What a reader should know.
    pub note: Option<String>,
}

/// What would happen to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeseenEffect {
    /// It would be made.
    Create,
    /// It is there already and would become the order's.
    Adopt,
    /// It, its state or its links would change.
    Update,
    /// It would be taken out of use and kept.
    Deactivate,
    /// It would be removed.
    Delete,
    /// All is as the order wants it.
    None,
}

impl fmt::Display for ForeseenEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::None => "none",
        })
    }
}

/// One difference between what is and what would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// The column, or the table of links and the other record, such as `groupsusers 00g1`.
    pub attribute: String,
    /// What is there; none where nothing is.
    pub old: Option<String>,
    /// What would be there; none where nothing would.
    pub new: Option<String>,
}
