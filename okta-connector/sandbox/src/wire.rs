//! A request and an answer as the endpoints see them: segments and parameters in; status, body and page out.
//! Okta: parameters are decoded (`+` is a space), double slashes are tolerated, limits are clamped to their range,
//! Link carries `self` and `next` on separate lines with the other parameters as given.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value};

use crate::cursor::Cursor;
use crate::error::ApiError;

/// One request, decoded.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
    pub now: i64,
    /// The user the token belongs to.
    pub caller: String,
    pub if_match: Option<String>,
    /// `Prefer: respond-async`.
    pub respond_async: bool,
    /// `okta-response` asks for users without credentials.
    pub omit_credentials: bool,
}

/// What an endpoint answers, before headers, faults and compression.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub page: Option<Page>,
    pub headers: Vec<(&'static str, String)>,
}

/// Where a list stands: its first row, the row the next page starts at, and what the cursor is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub limit: usize,
    pub start: u64,
    pub next: Option<u64>,
    binding: u64,
}

/// The limits of one list endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub default: usize,
    pub min: usize,
    pub max: usize,
}

pub(crate) type Outcome = Result<Answer, ApiError>;

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), page: None, headers: Vec::new() }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn value(status: u16, value: &Value) -> Self {
        Self::json(status, value.to_string())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::json(status, Vec::new())
    }

    pub(crate) fn list(body: String, page: Page) -> Self {
        Self { page: Some(page), ..Self::ok(body) }
    }
}

impl Call {
    pub(crate) fn segments(path: &str) -> Vec<String> {
        path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decode(segment, false)).collect()
    }

    pub(crate) fn query(text: &str) -> Vec<(String, String)> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(key, true), decode(value, true))
            })
            .collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Path and query, as faults match them.
    pub(crate) fn target(&self) -> String {
        let mut target = self.path.clone();
        for (n, (key, value)) in self.query.iter().enumerate() {
            let _ = write!(target, "{}{key}={value}", if n == 0 { '?' } else { '&' });
        }
        target
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.parameter(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// The body as an object; no body counts as an empty one.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_slice(&self.body).map_err(|_| ApiError::coded("E0000003"))
    }

    /// Where this request stands in its list.
    pub(crate) fn page(&self, limit: Limit) -> Result<Page, ApiError> {
        let binding = self.binding();
        let start = match self.parameter("after") {
            Some(cursor) => Cursor::parse(cursor, binding).ok_or_else(ApiError::bad_cursor)?.row,
            None => 0,
        };
        let asked = self.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(limit.default);
        Ok(Page { limit: asked.clamp(limit.min, limit.max), start, next: None, binding })
    }

    /// What may not change along a cursor. The size of the page may: a reader halves it when a page is too heavy;
    /// and parameters that only shape the rows may go missing, as Okta's own links have lost them.
    fn binding(&self) -> u64 {
        const BOUND: [&str; 7] = ["search", "filter", "q", "sortBy", "sortOrder", "since", "until"];
        let parts = self.query.iter().filter(|(key, _)| BOUND.contains(&key.as_str()));
        let bytes = self.path.bytes().chain(parts.flat_map(|(key, value)| key.bytes().chain(value.bytes())));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// A Link target on this list: the parameters as given, `after` and `limit` as they stand.
    pub(crate) fn link(&self, base: &str, page: &Page, after: Option<&str>) -> String {
        let mut link = format!("{base}{}?", self.path);
        if let Some(after) = after {
            let _ = write!(link, "after={after}&");
        }
        let _ = write!(link, "limit={}", page.limit);
        for (key, value) in self.query.iter().filter(|(key, _)| key != "after" && key != "limit") {
            let _ = write!(link, "&{key}={}", encode(value));
        }
        link
    }
}

impl Page {
    /// Takes rows from an iterator that starts at `start`; remembers where the next page begins.
    pub(crate) fn fill<T>(
        &mut self,
        rows: impl Iterator<Item = (u64, T)>,
        mut push: impl FnMut(T, &mut String),
    ) -> String {
        let mut body = String::with_capacity(self.limit.min(1000) * 1024);
        body.push('[');
        for (count, (row, record)) in rows.enumerate() {
            if count == self.limit {
                self.next = Some(row);
                break;
            }
            if count > 0 {
                body.push(',');
            }
            push(record, &mut body);
        }
        body.push(']');
        body
    }

    pub(crate) fn cursor(&self, row: u64, salt: u8) -> String {
        Cursor { row, salt }.text(self.binding)
    }
}

pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' | b':' | b'(' | b')' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str, query: &str) -> Call {
        Call {
            method: Method::GET,
            path: path.to_owned(),
            segments: Call::segments(path),
            query: Call::query(query),
            body: Bytes::new(),
            now: 0,
            caller: String::new(),
            if_match: None,
            respond_async: false,
            omit_credentials: false,
        }
    }

    const LIMIT: Limit = Limit { default: 20, min: 1, max: 200 };

    #[test]
    fn decodes_paths_and_parameters() {
        let call = call("//api/v1/users/a%40b%2Fc+d", "search=profile.lastName+eq+%22O%22&flag");
        assert_eq!(call.segments, ["api", "v1", "users", "a@b/c+d"]);
        assert_eq!(call.parameter("search"), Some("profile.lastName eq \"O\""));
        assert_eq!(call.parameter("flag"), Some(""));
    }

    #[test]
    fn clamps_limits_and_binds_cursors_to_their_query() {
        let first = call("/api/v1/users", "search=status+pr&limit=900");
        let mut page = first.page(LIMIT).unwrap();
        assert_eq!(page.limit, 200);
        assert_eq!(
            page.fill((0..300).map(|n| (n, n)), |n, out| out.push_str(&n.to_string())).matches(',').count(),
            199
        );
        let after = page.cursor(page.next.unwrap(), 0);
        let link = first.link("http://o", &page, Some(&after));
        assert_eq!(link, format!("http://o/api/v1/users?after={after}&limit=200&search=status+pr"));
        let next = call("/api/v1/users", &format!("search=status+pr&limit=7&after={after}"));
        assert_eq!(next.page(LIMIT).unwrap().start, 200);
        let foreign = call("/api/v1/users", &format!("search=id+pr&after={after}"));
        assert_eq!(foreign.page(LIMIT).unwrap_err().code, "E0000029");
    }
}
