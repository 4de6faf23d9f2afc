//! If-Match and If-None-Match: which versions a request is for.
//!
//! Tags compare weakly, since ours are weak; `*` is any version. To a change it is the version in a tag that matters, to a
//! reader the whole tag. Source: RFC 7644 §3.14, RFC 9110 §13.1.

use http::{HeaderMap, StatusCode, header};

use crate::error::{Error, Result};

/// The conditions of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone)]
struct Tags(Vec<String>);

impl Preconditions {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: Tags::of(headers, &header::IF_MATCH),
            if_none_match: Tags::of(headers, &header::IF_NONE_MATCH),
        }
    }

    /// The version that an operation of a bulk request names.
    pub(crate) fn if_version(tag: Option<&str>) -> Self {
        Self { if_match: tag.map(|tag| Tags(vec![tag.to_owned()])), if_none_match: None }
    }

    /// Whether it depends on the version that is there whether a change may be made.
    pub(crate) fn rest_on_version(&self) -> bool {
        self.if_none_match.is_some() || self.if_match.as_ref().is_some_and(|tags| !tags.hold_any())
    }

    /// Whether the client has what has this tag already.
    pub(crate) fn are_of_known(&self, tag: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.hold(tag))
    }

    /// Refuses with 412 what is for another version.
    pub(crate) fn check(&self, version: u64) -> Result<()> {
        if self.if_match.as_ref().is_some_and(|tags| !tags.hold_version(version)) {
            return Err(Self::failed());
        }
        Ok(())
    }

    /// The same for a change, which If-None-Match refuses too.
    pub(crate) fn check_change(&self, version: u64) -> Result<()> {
        if self.if_none_match.as_ref().is_some_and(|tags| tags.hold_version(version)) {
            return Err(Self::failed());
        }
        self.check(version)
    }

    fn failed() -> Error {
        let detail = "the resource has another version by now; read it again and repeat the change";
        Error::new(StatusCode::PRECONDITION_FAILED, detail)
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &header::HeaderName) -> Option<Self> {
        let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        let tags = lines.iter().flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned());
        (!lines.is_empty()).then(|| Self(tags.collect()))
    }

    fn hold_any(&self) -> bool {
        self.0.iter().any(|tag| tag == "*")
    }

    fn hold(&self, tag: &str) -> bool {
        self.hold_any() || self.0.iter().any(|own| opaque(own) == opaque(tag))
    }

    fn hold_version(&self, version: u64) -> bool {
        let version = version.to_string();
        self.hold_any() || self.0.iter().any(|tag| opaque(tag).split('.').next() == Some(&version))
    }
}

/// What is in the quotes, which bulk operations leave out.
fn opaque(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let cases = [
            ("W/\"3\"", true),
            ("\"3\"", true),
            ("*", true),
            ("W/\"1\", W/\"3\"", true),
            ("W/\"1\",W/\"2\"", false),
            ("\"33\"", false),
            ("W/\"3.ab\"", false),
            ("", false),
        ];
        for (tags, holds) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, tags.parse().unwrap());
            headers.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
            let preconditions = Preconditions::of(&headers);
            assert_eq!(preconditions.check(3).is_ok(), holds || tags.contains("3."), "{tags}");
            assert_eq!(preconditions.are_of_known("W/\"3\""), holds, "{tags}");
        }
        assert!(Preconditions::of(&HeaderMap::new()).check_change(3).is_ok());
    }
}
