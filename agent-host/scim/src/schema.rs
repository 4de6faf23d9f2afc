//! What attributes there are: one table from which bodies are checked, filters and paths resolved, answers projected
//! and `/Schemas` written.
//!
//! The table holds the core schemas and EnterpriseUser (`schema/user.rs`, `schema/group.rs`). Other extension URNs are
//! accepted and kept without being declared. Source: RFC 7643 §§2, 3, 7.

mod group;
mod user;

use crate::json::is;

/// The URN of a user's own schema.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The URN of a group's own schema.
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The URN of the extension for employees.
pub const ENTERPRISE_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A schema: attributes under one URN.
#[derive(Debug)]
pub struct Schema {
    /// As `urn:ietf:params:scim:schemas:core:2.0:User`.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// In the order in which they are published.
    pub attributes: &'static [Attribute],
}

/// An attribute and how it behaves (RFC 7643 §2.2).
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// In its own spelling; any case is accepted.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Of each value.
    pub kind: Type,
    /// Whether there may be more than one value.
    pub multi_valued: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether case tells values apart.
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is in an answer.
    pub returned: Returned,
    /// Whether the store refuses a value that another resource has.
    pub unique: bool,
    /// Suggested values; others are accepted.
    pub canonical_values: &'static [&'static str],
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// Of a complex attribute.
    pub sub_attributes: &'static [Attribute],
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Type {
    String,
    Boolean,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// Who may change a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

/// When an attribute is in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Returned {
    Always,
    Never,
    Default,
    Request,
}

/// Every published schema.
pub static SCHEMAS: [&Schema; 3] = [&user::USER, &group::GROUP, &user::ENTERPRISE];

/// The schema with this URN, in any case.
pub(crate) fn schema(urn: &str) -> Option<&'static Schema> {
    SCHEMAS.into_iter().find(|schema| is(schema.id, urn))
}

impl Schema {
    /// The attribute of this name; `id`, `externalId`, `meta` and `schemas` belong to every core schema (§3.1).
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let of_all: &[Attribute] = if is_core(self) { &OF_ALL } else { &[] };
        self.attributes.iter().chain(of_all).find(|attribute| is(attribute.name, name))
    }
}

impl Attribute {
    /// The sub-attribute of this name.
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        self.sub_attributes.iter().find(|sub| is(sub.name, name))
    }

    pub(crate) const fn text(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind: Type::String,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            unique: false,
            canonical_values: &[],
            reference_types: &[],
            sub_attributes: &[],
        }
    }

    pub(crate) const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self { kind: Type::Boolean, ..Self::text(name, description) }
    }

    pub(crate) const fn time(name: &'static str, description: &'static str) -> Self {
        Self { kind: Type::DateTime, ..Self::text(name, description) }
    }

    pub(crate) const fn binary(name: &'static str, description: &'static str) -> Self {
        Self { kind: Type::Binary, case_exact: true, ..Self::text(name, description) }
    }

    pub(crate) const fn reference(name: &'static str, to: &'static [&'static str], description: &'static str) -> Self {
        Self { kind: Type::Reference, case_exact: true, reference_types: to, ..Self::text(name, description) }
    }

    pub(crate) const fn complex(
        name: &'static str,
        description: &'static str,
        sub_attributes: &'static [Self],
    ) -> Self {
        Self { kind: Type::Complex, sub_attributes, ..Self::text(name, description) }
    }

    pub(crate) const fn many(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    pub(crate) const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    pub(crate) const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }

    pub(crate) const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }

    pub(crate) const fn write_only(self) -> Self {
        Self { mutability: Mutability::WriteOnly, returned: Returned::Never, ..self }
    }

    pub(crate) const fn always(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }

    pub(crate) const fn on_request(self) -> Self {
        Self { returned: Returned::Request, ..self }
    }

    pub(crate) const fn suggesting(self, canonical_values: &'static [&'static str]) -> Self {
        Self { canonical_values, ..self }
    }
}

fn is_core(schema: &Schema) -> bool {
    schema.id != ENTERPRISE_SCHEMA
}

/// What every resource has.
static OF_ALL: [Attribute; 4] = [
    Attribute::reference("schemas", &[], "URNs of the schemas of which the resource has attributes").many().always(),
    Attribute::text("id", "The identifier given by this server").exact().read_only().always(),
    Attribute::text("externalId", "The identifier given by the client").exact(),
    Attribute::complex("meta", "What the server knows about the resource", &META).read_only(),
];

static META: [Attribute; 5] = [
    Attribute::text("resourceType", "User or Group").exact().read_only(),
    Attribute::time("created", "When the server took it in").read_only(),
    Attribute::time("lastModified", "When it last changed").read_only(),
    Attribute::reference("location", &["uri"], "Its address").read_only(),
    Attribute::text("version", "Its entity tag").exact().read_only(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let user = schema("URN:ietf:params:scim:schemas:core:2.0:user").unwrap();
        assert_eq!(user.attribute("USERNAME").unwrap().name, "userName");
        assert_eq!(user.attribute("externalid").unwrap().name, "externalId");
        assert_eq!(user.attribute("emails").unwrap().sub("Value").unwrap().name, "value");
        assert!(schema(ENTERPRISE_SCHEMA).unwrap().attribute("id").is_none());
    }

    #[test]
    fn no_schema_has_a_name_twice() {
        for schema in SCHEMAS {
            for attribute in schema.attributes {
                let same = |other: &&Attribute| is(other.name, attribute.name);
                assert_eq!(schema.attributes.iter().filter(same).count(), 1, "{}", attribute.name);
            }
        }
    }
}
