//! One comparison: may it be made, and does it hold?

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use super::{Check, Constant, comparable, each_leaf};
use crate::{
    error::{Error, ErrorKind, Result},
    letters::fold,
    schema::{Attribute, Type},
    syntax::{AttributePath, Operator},
};

impl Check {
    /// Prepares a comparison. Errors: `invalidFilter` where the attribute's type does not allow it.
    pub(super) fn of(
        path: &AttributePath,
        attribute: Option<&Attribute>,
        operator: Operator,
        value: &Value,
    ) -> Result<Self> {
        // Where a complex attribute stands for its `value`, that one decides.
        let attribute = match attribute {
            Some(complex) if complex.kind == Type::Complex => complex.sub("value").or(attribute),
            other => other,
        };
        let constant = constant(path, attribute, operator, value)?;
        let is_text = matches!(constant, Constant::Exact(_) | Constant::Folded(_));
        let detail = match operator {
            Operator::Contains | Operator::StartsWith | Operator::EndsWith if !is_text => {
                format!("`{}` compares texts, which `{path}` is not; use eq, ne, gt, ge, lt or le", operator.name())
            }
            Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual
                if matches!(constant, Constant::Boolean(_) | Constant::Null) =>
            {
                format!("`{}` needs an order, which true, false and null have not; use eq or ne", operator.name())
            }
            _ => return Ok(Self::Compare(operator, constant)),
        };
        Err(Error::of(ErrorKind::InvalidFilter, detail))
    }

    /// Whether it holds for the value, or for one of its parts or elements.
    pub(super) fn holds(&self, value: &Value, sub: Option<&str>) -> bool {
        let mut is_present = false;
        let mut matches = false;
        each_leaf(value, sub, &mut |leaf| {
            let is_set = !leaf.is_null() && leaf.as_str() != Some("");
            is_present |= is_set;
            if let Self::Compare(operator, constant) = self {
                matches = matches || constant.compares(*operator, leaf);
            }
        });
        match self {
            Self::Present | Self::Compare(Operator::NotEqual, Constant::Null) => is_present,
            Self::Compare(Operator::Equal, Constant::Null) => !is_present,
            Self::Compare(Operator::NotEqual, _) => matches || !is_present,
            Self::Compare(..) => matches,
        }
    }
}

impl Constant {
    fn compares(&self, operator: Operator, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean(wanted), Value::Bool(found)) => (wanted == found) == (operator == Operator::Equal),
            (Self::Number(wanted), Value::Number(found)) => {
                found.as_f64().is_some_and(|found| is_ordered(operator, found.partial_cmp(wanted)))
            }
            (Self::Instant(wanted), Value::String(found)) => {
                instant(found).is_some_and(|found| is_ordered(operator, Some(found.cmp(wanted))))
            }
            (Self::Exact(wanted), Value::String(found)) => compare_texts(operator, found, wanted),
            (Self::Folded(wanted), Value::String(found)) => compare_texts(operator, &fold(found), wanted),
            // Values of two types are not equal and have no order.
            _ => operator == Operator::NotEqual,
        }
    }
}

fn compare_texts(operator: Operator, found: &str, wanted: &str) -> bool {
    match operator {
        Operator::Contains => found.contains(wanted),
        Operator::StartsWith => found.starts_with(wanted),
        Operator::EndsWith => found.ends_with(wanted),
        _ => is_ordered(operator, Some(found.cmp(wanted))),
    }
}

fn is_ordered(operator: Operator, ordering: Option<Ordering>) -> bool {
    let Some(ordering) = ordering else { return false };
    match operator {
        Operator::Equal => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

/// The value in the attribute's type. Entra writes booleans as texts.
fn constant(
    path: &AttributePath,
    attribute: Option<&Attribute>,
    operator: Operator,
    value: &Value,
) -> Result<Constant> {
    let declared = attribute.map(|attribute| attribute.kind);
    let wanted = match (declared, value) {
        (_, Value::Null) => return Ok(Constant::Null),
        (Some(Type::Boolean), Value::Bool(value)) | (None, Value::Bool(value)) => return Ok(Constant::Boolean(*value)),
        (Some(Type::Boolean), Value::String(text)) if is_boolean(text) => {
            return Ok(Constant::Boolean(text.eq_ignore_ascii_case("true")));
        }
        (None, Value::Number(number)) => return Ok(Constant::Number(number.as_f64().unwrap_or(f64::NAN))),
        (Some(Type::DateTime), Value::String(text)) => {
            let is_part = matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
            match instant(text) {
                Some(instant) if !is_part => return Ok(Constant::Instant(instant)),
                _ if is_part => return Ok(Constant::Exact(text.clone())),
                _ => "a time such as \"2026-01-31T08:00:00Z\"",
            }
        }
        (Some(Type::String | Type::Reference | Type::Binary) | None, Value::String(text)) => {
            return Ok(comparable(attribute, text));
        }
        (Some(Type::Boolean), _) => "true or false",
        (Some(Type::Complex), _) => "a sub-attribute, as in `name.familyName`",
        _ => "a text in double quotes",
    };
    Err(Error::of(ErrorKind::InvalidFilter, format!("`{path}` compares with {wanted}")))
}

fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// The moment, in milliseconds since 1970; a time without offset is UTC (xsd:dateTime leaves it open).
pub(crate) fn instant(text: &str) -> Option<i64> {
    let with_offset = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let without = || text.parse::<NaiveDateTime>().map(|time| time.and_utc().timestamp_millis());
    with_offset.or_else(|_| without()).ok()
}
