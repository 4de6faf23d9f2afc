//! What a SCIM client asked for, as far as it may be written down: the address without what may be of people or secret.
//!
//! Of a query the names stay that SCIM knows, of a filter its attributes and operators, of a path what an id can be.

use axum::http::Uri;
use scim_server::{Filter, parse_filter};
use serde_json::Value;
use url::form_urlencoded;

/// What stands for what is left out.
const LEFT_OUT: &str = "…";
/// Segments below the directory's address that are told, and how long each and everything may be.
const MOST_SEGMENTS: usize = 3;
const LONGEST_SEGMENT: usize = 40;
const LONGEST_URN: usize = 120;
const LONGEST: usize = 300;

/// The address below that of the directory: `/Users?filter=userName eq "…"&startIndex=1&count=100`.
pub(super) fn shown(asked: &Uri) -> String {
    // `/scim/v2/{directory}` is what every call has in common.
    let mut segments = asked.path().split('/').skip(4).filter(|segment| !segment.is_empty());
    let mut text: String = segments
        .by_ref()
        .take(MOST_SEGMENTS)
        .map(|it| format!("/{}", if is_plain(it) { it } else { LEFT_OUT }))
        .collect();
    if segments.next().is_some() {
        text.push_str("/…");
    }
    if text.is_empty() {
        text.push('/');
    }
    let mut mark = '?';
    for (name, value) in form_urlencoded::parse(asked.query().unwrap_or_default().as_bytes()) {
        let part = match &*name {
            "filter" => format!(
                "filter={}",
                parse_filter(&value).map_or(LEFT_OUT.to_owned(), |it| without_values(it).to_string())
            ),
            "startIndex" | "count" => format!("{name}={}", if is_number(&value) { &value } else { LEFT_OUT }),
            "attributes" | "excludedAttributes" | "sortBy" | "sortOrder" => {
                format!("{name}={}", if is_names(&value) { &value } else { LEFT_OUT })
            }
            "cursor" if value.is_empty() => "cursor=".to_owned(),
            "cursor" => format!("cursor={LEFT_OUT}"),
            _ => LEFT_OUT.to_owned(),
        };
        text.push(mark);
        text.push_str(&part);
        mark = '&';
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push_str(LEFT_OUT);
            break;
        }
    }
    text
}

/// What a client was told, without the words that repeat what the address lost, and without what may be a mail address.
pub(super) fn told(detail: &str, asked: &Uri) -> String {
    let lost = |word: &str| {
        let asks = |text: &str| {
            form_urlencoded::parse(text.as_bytes()).any(|(name, value)| name.contains(word) || value.contains(word))
        };
        asks(asked.path()) || asks(asked.query().unwrap_or_default())
    };
    let kept = shown(asked);
    let words = detail.split('`').enumerate().map(|(nth, part)| match part {
        _ if nth % 2 == 0 || part.is_empty() => part,
        _ if part.contains('@') || (lost(part) && !kept.contains(part)) => LEFT_OUT,
        part => part,
    });
    words.collect::<Vec<_>>().join("`")
}

/// Names of resource types, ids as we give them, and URNs. A secret half has more letters.
fn is_plain(segment: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_urn = segment.len() <= LONGEST_URN && segment.to_ascii_lowercase().starts_with("urn:");
    (segment.len() <= LONGEST_SEGMENT && segment.bytes().all(is_fit))
        || (is_urn && segment.bytes().all(|byte| is_fit(byte) || byte == b':'))
}

fn is_number(text: &str) -> bool {
    text.len() <= 12 && text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
}

fn is_names(text: &str) -> bool {
    text.len() <= LONGEST_URN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:_-,$".contains(&byte))
}

/// The same filter; texts and numbers in it are left out.
fn without_values(filter: Filter) -> Filter {
    let each = |parts: Vec<Filter>| parts.into_iter().map(without_values).collect();
    match filter {
        Filter::All(parts) => Filter::All(each(parts)),
        Filter::Any(parts) => Filter::Any(each(parts)),
        Filter::Not(part) => Filter::Not(Box::new(without_values(*part))),
        Filter::Within(path, part) => Filter::Within(path, Box::new(without_values(*part))),
        Filter::Compare(path, operator, Value::String(_) | Value::Number(_)) => {
            Filter::Compare(path, operator, LEFT_OUT.into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_says_what_to_fix_and_not_whom_it_is_about() {
        for (asked, detail, kept) in [
            ("/Groups/ada%2Blove", "there is no Group `ada+love`", "there is no Group `…`"),
            ("/Groups/00000001-5dd8", "there is no Group `00000001-5dd8`", "there is no Group `00000001-5dd8`"),
            ("/Users?filter=userName+eq+ada", "at character 13: found `ada`", "at character 13: found `…`"),
            ("/Users?filter=userName+eq", "`userName` wants a value", "`…` wants a value"),
            ("/Users", "operation 1: found `a@b` behind `emails`", "operation 1: found `…` behind `emails`"),
        ] {
            assert_eq!(told(detail, &format!("/scim/v2/acme{asked}").parse().unwrap()), kept);
        }
    }

    #[test]
    fn an_address_keeps_what_it_asks_for_and_loses_whom() {
        for (asked, told) in [
            ("/Users?startIndex=1&count=2", "/Users?startIndex=1&count=2"),
            (
                "/Users?filter=userName+eq+%22ada%40example.com%22&startIndex=1&count=100",
                "/Users?filter=userName eq \"…\"&startIndex=1&count=100",
            ),
            (
                "/Users?filter=active%20eq%20true%20and%20emails%5Bvalue%20co%20%22a%5C%22b%22%5D",
                "/Users?filter=active eq true and emails[value co \"…\"]",
            ),
            ("/Users?filter=ada%40example.com", "/Users?filter=…"),
            ("/Users?filter=phoneNumbers.value%20eq%2012345", "/Users?filter=phoneNumbers.value eq \"…\""),
            ("/Groups/0000002a-0123456789abcdef/", "/Groups/0000002a-0123456789abcdef"),
            ("/Groups/ada@example.com", "/Groups/…"),
            ("/abcdefghijkl.0123456789012345678901234567890123456789/Users", "/…/Users"),
            (
                "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
                "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
            ),
            (
                "/Users?access_token=abc.def&attributes=userName,name.givenName",
                "/Users?…&attributes=userName,name.givenName",
            ),
            ("/Users?cursor=&count=ada", "/Users?cursor=&count=…"),
            ("", "/"),
            ("/a/b/c/d/e", "/a/b/c/…"),
        ] {
            assert_eq!(shown(&format!("/scim/v2/acme{asked}").parse().unwrap()), told);
        }
        let many: String = (0..500).map(|nth| format!("attributes=a{nth}&")).collect();
        assert!(shown(&format!("/scim/v2/acme/Users?{many}").parse().unwrap()).len() < LONGEST + 10);
    }
}
