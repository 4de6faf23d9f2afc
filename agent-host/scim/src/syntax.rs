//! Filters and PATCH paths as a tree, and back to text.
//!
//! One tree serves both: a path is an attribute, perhaps with a filter in brackets. Chains of `and` and `or` lie flat,
//! so that depth comes from parentheses alone. Source: RFC 7644 §3.4.2.2, figures 1 and 7.

use std::fmt;

use serde_json::Value;

/// What a resource, or an element of a multi-valued attribute, must be like.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every one holds; at least two, none of them `All`.
    All(Vec<Filter>),
    /// At least one holds; at least two, none of them `Any`.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// `attribute pr`.
    Present(AttributePath),
    /// `attribute op value`; the value is null, a boolean, a number or a string.
    Compare(AttributePath, Operator, Value),
    /// `attribute[filter]`: one element is like this.
    Within(AttributePath, Box<Filter>),
}

/// How values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// `[urn:]name[.sub]`, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributePath {
    /// The schema, without the colon behind it.
    pub urn: Option<String>,
    /// The attribute; where the text is a bare URN, its last part.
    pub name: String,
    /// The sub-attribute.
    pub sub: Option<String>,
}

/// What a PATCH operation is about: `attribute`, or `attribute[filter]`, or `attribute[filter].sub`.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Without sub-attribute where there is a filter.
    pub attribute: AttributePath,
    /// Which elements.
    pub filter: Option<Filter>,
    /// What of the elements.
    pub sub: Option<String>,
}

impl Filter {
    /// All of them, flat; `filters` is not empty.
    pub fn all(filters: Vec<Self>) -> Self {
        let parts = filters.into_iter().flat_map(|filter| match filter {
            Self::All(parts) => parts,
            other => vec![other],
        });
        one_or(parts.collect(), Self::All)
    }

    /// How many comparisons it is made of.
    pub(crate) fn terms(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::terms).sum(),
            Self::Not(filter) | Self::Within(_, filter) => filter.terms(),
            Self::Present(_) | Self::Compare(..) => 1,
        }
    }

    /// Any of them, flat; `filters` is not empty.
    pub fn any(filters: Vec<Self>) -> Self {
        let parts = filters.into_iter().flat_map(|filter| match filter {
            Self::Any(parts) => parts,
            other => vec![other],
        });
        one_or(parts.collect(), Self::Any)
    }
}

fn one_or(mut filters: Vec<Filter>, many: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    if filters.len() > 1 {
        return many(filters);
    }
    filters.pop().expect("there is at least one")
}

impl Operator {
    /// The operator of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        const ALL: [Operator; 9] = [
            Operator::Equal,
            Operator::NotEqual,
            Operator::Contains,
            Operator::StartsWith,
            Operator::EndsWith,
            Operator::Greater,
            Operator::GreaterOrEqual,
            Operator::Less,
            Operator::LessOrEqual,
        ];
        ALL.into_iter().find(|operator| operator.name().eq_ignore_ascii_case(name))
    }

    /// As the wire spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }
}

impl AttributePath {
    /// The text without its sub-attribute, which is a URN where the path means a whole extension.
    pub(crate) fn whole(&self) -> String {
        self.urn.as_ref().map_or_else(|| self.name.clone(), |urn| format!("{urn}:{}", self.name))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let and = if index == 0 { "" } else { " and " };
                    match part {
                        Self::Any(_) => write!(f, "{and}({part})")?,
                        _ => write!(f, "{and}{part}")?,
                    }
                }
                Ok(())
            }
            Self::Any(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let or = if index == 0 { "" } else { " or " };
                    write!(f, "{or}{part}")?;
                }
                Ok(())
            }
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(path, operator, value) => write!(f, "{path} {} {value}", operator.name()),
            Self::Within(path, filter) => write!(f, "{path}[{filter}]"),
        }
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        self.sub.iter().try_for_each(|sub| write!(f, ".{sub}"))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attribute)?;
        self.filter.iter().try_for_each(|filter| write!(f, "[{filter}]"))?;
        self.sub.iter().try_for_each(|sub| write!(f, ".{sub}"))
    }
}
