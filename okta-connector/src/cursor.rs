//! Where a list goes on: the `Link` header, and path and query of the next page.
//!
//! Of a next link only path and query are used, never its host: the token goes nowhere but to the configured origin.
//! Cursors are opaque; parameters that a link has lost are put back.
//! Source: Okta's "Pagination" (links come as separate header lines).

use reqwest::header::{HeaderMap, LINK};

/// Path and query of the `next` link, if there is one.
///
/// # Errors
/// A line that cannot be read: to take it for the end of the list would lose the rest.
pub(crate) fn next_link(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    for value in headers.get_all(LINK) {
        let line = std::str::from_utf8(value.as_bytes()).map_err(|_| "a Link header is not UTF-8")?;
        for link in line.split('<').skip(1) {
            match link.split_once('>') {
                Some((url, parameters)) if is_next(parameters) => return Ok(Some(path_and_query(url).to_owned())),
                None if is_next(link) => return Err("a Link header is cut off"),
                _ => {}
            }
        }
    }
    Ok(None)
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
    })
}

pub(crate) fn path_and_query(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let start = if after_scheme.len() == url.len() { 0 } else { after_scheme.find('/').unwrap_or(after_scheme.len()) };
    &after_scheme[start..]
}

pub(crate) fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

fn parameters_of(target: &str) -> impl Iterator<Item = &str> {
    target.split_once('?').map_or("", |(_, query)| query).split('&').filter(|parameter| !parameter.is_empty())
}

fn name_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or(parameter)
}

/// `next` with the parameters of `present` that it lacks.
pub(crate) fn merge_lost_parameters(present: &str, next: &str) -> String {
    let mut merged = next.to_owned();
    for parameter in parameters_of(present) {
        let name = name_of(parameter);
        if name != "after" && !parameters_of(next).any(|known| name_of(known) == name) {
            merged.push(if merged.contains('?') { '&' } else { '?' });
            merged.push_str(parameter);
        }
    }
    merged
}

/// How many records the page asks for.
pub(crate) fn limit_of(target: &str) -> Option<u32> {
    parameters_of(target).find_map(|parameter| parameter.strip_prefix("limit="))?.parse().ok()
}

/// The same page with another number of records; the same page where it names none.
pub(crate) fn with_limit(target: &str, limit: u32) -> String {
    match limit_of(target) {
        Some(present) => target.replacen(&format!("limit={present}"), &format!("limit={limit}"), 1),
        None => target.to_owned(),
    }
}

/// The same page with half as many records, not fewer than `floor`; none where it is that small already.
pub(crate) fn with_half_limit(target: &str, floor: u32) -> Option<String> {
    let limit = limit_of(target)?;
    let half = (limit / 2).max(floor);
    (half < limit).then(|| with_limit(target, half))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn next_of(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(LINK, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        next_link(&headers).unwrap()
    }

    #[test]
    fn the_next_link_is_found_on_any_line_and_its_host_dropped() {
        let own = r#"<https://x.okta.com/api/v1/users?limit=200>; rel="self""#;
        let next = r#"<https://evil.example/api/v1/users?after=00u,1&limit=200>; rel="next""#;
        let expected = Some("/api/v1/users?after=00u,1&limit=200".to_owned());
        assert_eq!(next_of(&[own, next]), expected);
        assert_eq!(next_of(&[&format!("{own}, {next}")]), expected);
        assert_eq!(next_of(&[next]), expected);
        assert_eq!(next_of(&["</api/v1/users?after=1>; title=x; rel=next"]), Some("/api/v1/users?after=1".to_owned()));
        assert_eq!(next_of(&["<https://x.okta.com>; rel=\"next\""]), Some(String::new()));
        let unencoded = "</api/v1/users?search=city eq Zürich&after=1>; rel=\"next\"";
        assert_eq!(next_of(&[unencoded]), Some("/api/v1/users?search=city eq Zürich&after=1".to_owned()));
        assert_eq!(next_of(&[own]), None);
        assert_eq!(next_of(&[]), None);
    }

    #[test]
    fn a_link_that_cannot_be_read_is_not_the_end() {
        for line in [&b"</api/v1/users?after=\xff>; rel=\"next\""[..], b"</api/v1/users?after=1; rel=\"next\""] {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_bytes(line).unwrap())]);
            assert!(next_link(&headers).is_err(), "{line:?}");
        }
    }

    #[test]
    fn lost_parameters_come_back_and_the_servers_win() {
        assert_eq!(
            merge_lost_parameters("/api/v1/groups?limit=200&expand=stats&after=1", "/api/v1/groups?after=2&limit=100"),
            "/api/v1/groups?after=2&limit=100&expand=stats"
        );
    }

    #[test]
    fn limits_are_halved_down_to_the_floor() {
        assert_eq!(with_half_limit("/x?after=limit&limit=1000", 200).as_deref(), Some("/x?after=limit&limit=500"));
        assert_eq!(with_half_limit("/x?limit=300&y=1", 200).as_deref(), Some("/x?limit=200&y=1"));
        assert_eq!(with_half_limit("/x?limit=200", 200), None);
        assert_eq!(with_half_limit("/x", 200), None);
    }
}
