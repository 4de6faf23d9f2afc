//! What a search is asked: the query of an address, or a SearchRequest, which says the same in JSON.
//!
//! `+` is a space in a query, as Okta writes it; names nobody knows are passed over, since Entra adds flags to every
//! address. Paging is clamped, not refused. Source: RFC 7644 §§3.4.2, 3.4.3; RFC 9865 §2.

use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Result},
    json::{field, is},
    parser,
    projection::Projection,
    syntax::{AttributePath, Filter},
};

/// The URN of a SearchRequest.
pub(crate) const SEARCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

const NAMES: [&str; 8] =
    ["attributes", "excludedAttributes", "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"];

/// The parameters of a request, as texts.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    values: [Option<String>; NAMES.len()],
}

/// A search.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Option<Sort>,
    pub(crate) start: Start,
    /// None where the client does not say.
    pub(crate) count: Option<usize>,
    pub(crate) projection: Projection,
}

#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) by: AttributePath,
    pub(crate) descending: bool,
}

/// The body of an answer to a search (RFC 7644 §3.4.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListResponse<T> {
    #[serde(flatten)]
    head: ListHead,
    items_per_page: usize,
    #[serde(rename = "Resources")]
    resources: Vec<T>,
}

/// The same without its resources.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListHead {
    schemas: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    total_results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Where an answer begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Counted from 1.
    Index(u64),
    /// Empty for the beginning.
    Cursor(String),
}

impl Parameters {
    /// Reads the query of an address. Errors: 400 where it is no UTF-8.
    pub(crate) fn of_query(query: &str) -> Result<Self> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(&name.replace('+', " "))?;
            parameters.set(&name, || decoded(&value.replace('+', " ")))?;
        }
        Ok(parameters)
    }

    /// Reads a SearchRequest. Errors: `invalidSyntax`, `invalidValue`.
    pub(crate) fn of_body(body: Value) -> Result<Self> {
        let syntax = |detail: &str| Error::of(ErrorKind::InvalidSyntax, detail);
        let Value::Object(body) = body else { return Err(syntax("the body of a search is an object")) };
        if let Some(Value::Array(urns)) = field(&body, "schemas")
            && !urns.iter().filter_map(Value::as_str).any(|urn| is(urn, SEARCH_SCHEMA))
        {
            return Err(syntax(&format!("`schemas` of a search holds `{SEARCH_SCHEMA}`")));
        }
        let mut parameters = Self::default();
        for (name, value) in &body {
            if !value.is_null() && NAMES.iter().any(|known| is(known, name)) {
                let text = || text(value).ok_or_else(|| invalid(&format!("`{name}` is of the wrong type")));
                parameters.set(name, text)?;
            }
        }
        Ok(parameters)
    }

    /// Whether a filter is given.
    pub(crate) fn has_filter(&self) -> bool {
        self.get("filter").is_some()
    }

    pub(crate) fn projection(&self) -> Result<Projection> {
        Projection::read(self.get("attributes"), self.get("excludedAttributes"))
    }

    pub(crate) fn search(&self) -> Result<Search> {
        let start = match (self.get("cursor"), self.get("startIndex")) {
            (Some(_), Some(_)) => {
                return Err(invalid("`cursor` and `startIndex` exclude each other; send one of them"));
            }
            (Some(cursor), None) => Start::Cursor(cursor.to_owned()),
            (None, index) => {
                let index = index.map(|text| number(text, "startIndex", ErrorKind::InvalidValue)).transpose()?;
                Start::Index(index.unwrap_or(1).max(1))
            }
        };
        let refusal = if matches!(start, Start::Cursor(_)) { ErrorKind::InvalidCount } else { ErrorKind::InvalidValue };
        let count = self.get("count").map(|text| number(text, "count", refusal)).transpose()?;
        let descending = match self.get("sortOrder") {
            None => false,
            Some(order) if is(order, "ascending") => false,
            Some(order) if is(order, "descending") => true,
            Some(_) => return Err(invalid("`sortOrder` is ascending or descending")),
        };
        let sort_by = self.get("sortBy").filter(|by| !by.is_empty());
        let sort = sort_by.map(|by| match parser::attribute(by) {
            Ok(by) => Ok(Sort { by, descending }),
            Err(error) => Err(Error::of(ErrorKind::InvalidValue, error.detail()).within("`sortBy`")),
        });
        Ok(Search {
            filter: self.get("filter").map(parser::filter).transpose()?,
            sort: sort.transpose()?,
            start,
            count: count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            projection: self.projection()?,
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.values[at].as_deref()
    }

    /// Keeps the first value of a known name.
    fn set(&mut self, name: &str, value: impl FnOnce() -> Result<String>) -> Result<()> {
        if let Some(at) = NAMES.iter().position(|known| is(known, name))
            && self.values[at].is_none()
        {
            self.values[at] = Some(value()?);
        }
        Ok(())
    }
}

impl<T> ListResponse<T> {
    pub(crate) fn new(head: ListHead, resources: Vec<T>) -> Self {
        Self { head, items_per_page: resources.len(), resources }
    }
}

impl ListHead {
    /// A part of what was found, from `start` on; `total` where it is known.
    pub(crate) fn new(total: Option<u64>, start: &Start, next_cursor: Option<String>) -> Self {
        Self {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            total_results: total,
            start_index: match start {
                Start::Index(index) => Some(*index),
                Start::Cursor(_) => None,
            },
            next_cursor,
        }
    }
}

/// Text with its `%` sequences decoded.
pub(crate) fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = (*first == b'%').then(|| behind.get(..2)).flatten();
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &behind[2..] } else { behind };
    }
    let not_text = |_| Error::of(ErrorKind::InvalidSyntax, "the address is not UTF-8 behind its % signs");
    String::from_utf8(bytes).map_err(not_text)
}

/// A whole number, 0 for one below.
fn number(text: &str, name: &str, refusal: ErrorKind) -> Result<u64> {
    let number = text.trim().parse::<i64>();
    let number = number.map_err(|_| Error::of(refusal, format!("`{name}` is a whole number")))?;
    Ok(u64::try_from(number).unwrap_or(0))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(names) => Some(names.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(",")),
        _ => None,
    }
}

fn invalid(detail: &str) -> Error {
    Error::of(ErrorKind::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_are_decoded() {
        let read = |query| Parameters::of_query(query).unwrap().search().unwrap();
        let search = read("filter=userName+eq+%22a%2Bb%40c%22&STARTINDEX=3&count=5&aadOptscim062020&x=%zz");
        assert_eq!(search.filter.unwrap().to_string(), "userName eq \"a+b@c\"");
        assert_eq!((search.start, search.count), (Start::Index(3), Some(5)));
        let search = read("startIndex=-4&count=-1&sortBy=name.familyName&sortOrder=DESCENDING");
        assert_eq!((search.start, search.count), (Start::Index(1), Some(0)));
        assert!(search.sort.unwrap().descending);
        assert_eq!(read("cursor=").start, Start::Cursor(String::new()));
        assert_eq!(read("").start, Start::Index(1));
    }

    #[test]
    fn a_search_request_says_the_same() {
        let body = json!({
            "schemas": [SEARCH_SCHEMA], "Filter": "title pr", "startIndex": 2, "count": 0, "attributes": ["userName", "title"],
            "sortBy": null
        });
        let search = Parameters::of_body(body).unwrap().search().unwrap();
        assert_eq!(search.filter.unwrap().to_string(), "title pr");
        assert_eq!((search.start, search.count), (Start::Index(2), Some(0)));
        assert!(matches!(search.projection, Projection::Only(paths) if paths.len() == 2));
    }

    #[test]
    fn nonsense_is_refused() {
        let cases = [
            ("startIndex=a", ErrorKind::InvalidValue),
            ("count=1.5", ErrorKind::InvalidValue),
            ("cursor=&count=x", ErrorKind::InvalidCount),
            ("cursor=a&startIndex=1", ErrorKind::InvalidValue),
            ("sortOrder=up", ErrorKind::InvalidValue),
            ("sortBy=a%20b", ErrorKind::InvalidValue),
            ("filter=", ErrorKind::InvalidFilter),
            ("filter=%ff", ErrorKind::InvalidSyntax),
            ("attributes=a&excludedAttributes=b", ErrorKind::InvalidValue),
        ];
        for (query, kind) in cases {
            let error = Parameters::of_query(query).and_then(|parameters| parameters.search()).expect_err(query);
            assert_eq!(error.kind(), Some(kind), "{query}");
        }
        for body in [json!([]), json!({ "schemas": ["x"] }), json!({ "filter": {} })] {
            assert!(Parameters::of_body(body).is_err());
        }
    }
}
