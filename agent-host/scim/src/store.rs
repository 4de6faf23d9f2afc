//! What the protocol asks of whoever keeps the resources of one directory.
//!
//! A store gives identifiers, order, versions and times; it keeps a `userName` unique under races, and it makes a
//! change durable before it answers. It is never asked to understand a filter: what an index can answer comes as a
//! [`Lookup`], everything else the protocol works out itself over pages. Members change by differences, so that one
//! change in a large group costs one change.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::resource::{Kind, Link, Resource};

/// The users and groups of one directory.
///
/// The host makes one per request, for the directory that the address names and with the client that asked, so that an
/// event log can say who changed what.
#[async_trait]
pub trait ResourceStore: Send + Sync {
    /// The resource with exactly this id, None where there is none.
    async fn get(&self, kind: Kind, id: &str, links: Links) -> Result<Option<Resource>, StoreError>;

    /// Resources in a stable order, and how many there are in all.
    async fn page(&self, kind: Kind, query: &Query) -> Result<Page, StoreError>;

    /// Takes a resource in, version 1, and answers with it.
    ///
    /// Errors: [`StoreError::NotUnique`], [`StoreError::UnknownMember`].
    async fn create(&self, kind: Kind, draft: Draft, links: Links) -> Result<Resource, StoreError>;

    /// Changes a resource in one piece and answers with it. Where nothing changed in the end, version and time stay.
    ///
    /// Errors: [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::NotUnique`],
    /// [`StoreError::UnknownMember`].
    async fn update(&self, kind: Kind, id: &str, change: Change, links: Links) -> Result<Resource, StoreError>;

    /// Hears that a client wrote what was there already: nothing changes, but the client means this resource.
    async fn confirm(&self, _kind: Kind, _id: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes a resource, and it from all groups; members of a removed group stay.
    ///
    /// Errors: [`StoreError::NotFound`], [`StoreError::Conflict`].
    async fn delete(&self, kind: Kind, id: &str, deletion: Deletion) -> Result<(), StoreError>;
}

/// Which links an answer shall carry; where they are left out, [`Resource::links`] is None.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Links {
    /// Left out.
    None,
    /// All of them where there are no more than this, else left out.
    UpTo(usize),
    /// All of them.
    All,
}

/// Which resources to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only these, None for all.
    pub lookup: Option<Lookup>,
    /// In which order.
    pub order: Order,
    /// Where to begin.
    pub from: From,
    /// At most so many; none for 0.
    pub limit: usize,
    /// Which links each carries.
    pub links: Links,
    /// Whether [`Page::total`] is wanted.
    pub count: bool,
}

/// The resources in which a field has one of these values: exactly those, but for [`Field::Email`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The indexed field.
    pub field: Field,
    /// Without repeats. Folded ([`fold`](crate::fold)) for names and e-mail addresses; as it is for identifiers.
    pub values: Vec<String>,
}

/// A field that a store finds by an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The resource's own id.
    Id,
    /// [`Keys::user_name`].
    UserName,
    /// [`Keys::external_id`].
    ExternalId,
    /// [`Keys::display_name`].
    DisplayName,
    /// One of [`Keys::emails`]. What is found is asked the whole filter again: all that have it must be found, others may.
    Email,
    /// The id of a member (in groups) or of a group (in users).
    Link,
}

/// The order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By [`Resource::sequence`].
    Taken,
    /// By a key, bytewise; those without it last, or first when descending; then by sequence. Never by an e-mail address or
    /// a link.
    By {
        /// The key.
        field: Field,
        /// From the greatest on.
        descending: bool,
    },
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Behind so many resources.
    Offset(u64),
    /// Behind this sequence; only with [`Order::Taken`]. Costs the same wherever it is.
    After(u64),
}

/// A part of the answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// In the order that was asked for.
    pub resources: Vec<Resource>,
    /// How many the query finds without its limit and beginning, where that was asked for.
    pub total: Option<u64>,
}

/// A new resource.
#[derive(Debug, Default)]
pub struct Draft {
    /// See [`Resource::attributes`].
    pub attributes: Map<String, Value>,
    /// What to index.
    pub keys: Keys,
    /// Which keys no other resource of the kind may have.
    pub unique: Vec<Field>,
    /// The members of a group, without repeats.
    pub members: Vec<Link>,
    /// Whether members that the directory does not have are kept.
    pub unknown_member: UnknownMember,
    /// What the client sent as password. Whether it is kept, and how, is the store's business; it is never answered.
    pub password: Option<SecretString>,
}

/// A change of a resource.
#[derive(Debug, Default)]
pub struct Change {
    /// The version that it was worked out from: with another one the store refuses it. None where any will do.
    pub if_version: Option<u64>,
    /// All attributes as they shall be, with their keys; None leaves them.
    pub attributes: Option<(Map<String, Value>, Keys)>,
    /// Which keys no other resource of the kind may have.
    pub unique: Vec<Field>,
    /// The members of a group.
    pub members: MemberChange,
    /// Whether added members that the directory does not have are kept.
    pub unknown_member: UnknownMember,
    /// See [`Draft::password`].
    pub password: Option<SecretString>,
}

/// How the members of a group change: all go if `clear` says so, then some go, then some come.
///
/// Adding a member that is there and removing one that is not change nothing. A store that clears and adds does so by
/// the difference, so that members who stay are not touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// Whether all members of before go first.
    pub clear: bool,
    /// Ids of members that go, without repeats, none of them in `add`.
    pub remove: Vec<String>,
    /// Members that come, without repeats.
    pub add: Vec<Link>,
}

/// What identifies a resource to clients; see [`Lookup`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Folded; users have one.
    pub user_name: Option<String>,
    /// As it is.
    pub external_id: Option<String>,
    /// Folded.
    pub display_name: Option<String>,
    /// E-mail addresses of a user: folded, short enough for an index, each once, in order. What an index then has of an
    /// address another may begin with, too; see [`email_keys`](crate::email_keys).
    pub emails: Vec<String>,
}

/// What to do with a member that the directory does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownMember {
    /// It is kept as it is, and becomes a true member should the id appear.
    #[default]
    Keep,
    /// The request is refused.
    Reject,
}

/// How to delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletion {
    /// The version that may be deleted; None for any.
    pub if_version: Option<u64>,
    /// Whether the store keeps a trace for itself. For clients it is gone either way.
    pub soft: bool,
}

/// Why a store does not do what it is asked.
#[derive(Debug)]
pub enum StoreError {
    /// There is no such resource.
    NotFound,
    /// It has another version by now.
    Conflict,
    /// Another resource has this key.
    NotUnique(Field),
    /// The directory has no resource with this id.
    UnknownMember(String),
    /// Too much is going on; the client may come back after so many seconds.
    Busy(u32),
    /// It broke. The cause is logged and not told to the client.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl Keys {
    /// The key of this field, where it is kept here and there is one at most.
    pub fn get(&self, field: Field) -> Option<&str> {
        match field {
            Field::UserName => self.user_name.as_deref(),
            Field::ExternalId => self.external_id.as_deref(),
            Field::DisplayName => self.display_name.as_deref(),
            Field::Id | Field::Email | Field::Link => None,
        }
    }
}

impl Field {
    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::UserName => "userName",
            Self::ExternalId => "externalId",
            Self::DisplayName => "displayName",
            Self::Email => "emails",
            Self::Link => "value",
        }
    }
}

impl MemberChange {
    /// These members instead of all others.
    pub fn replace(members: Vec<Link>) -> Self {
        Self { clear: true, remove: Vec::new(), add: members }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        !self.clear && self.remove.is_empty() && self.add.is_empty()
    }
}
