//! What a step answered, as much of it as is compared: status, the headers a client acts on, and the JSON body.
//!
//! A recorded answer and the sandbox's own take the same form, so that one comparison serves both.

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The names of those headers which pace or identify a call.
    pub(crate) headers: BTreeSet<String>,
    pub(crate) links: Links,
    pub(crate) body: Option<Value>,
    /// The `dpop-nonce` header.
    pub(crate) nonce: Option<String>,
}

impl Answer {
    pub(crate) fn headers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let acted_on = |name: &String| {
            name.starts_with("x-rate-limit-")
                || name == "x-okta-request-id"
                || name == "retry-after"
                || name == "dpop-nonce"
        };
        names.map(str::to_ascii_lowercase).filter(acted_on).collect()
    }

    pub(crate) fn json(text: &str) -> Option<Value> {
        if text.is_empty() { None } else { Some(serde_json::from_str(text).unwrap_or(Value::String(text.to_owned()))) }
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn error_code(&self) -> Option<&str> {
        self.body.as_ref()?.get("errorCode")?.as_str()
    }

    /// A 404 that carries no error of Okta's: the recorder's own test set-up answered it.
    pub(crate) fn is_stand_in(&self) -> bool {
        self.status == 404 && self.body.as_ref().is_some_and(|body| body.get("message").is_some())
    }
}

/// The `Link` header. Okta sends every relation as a header line of its own.
#[derive(Default)]
pub(crate) struct Links {
    /// There is a `rel="self"`.
    pub(crate) own: bool,
    pub(crate) next: Option<Next>,
    /// Some line holds several relations, joined by commas.
    pub(crate) joined: bool,
}

pub(crate) struct Next {
    pub(crate) parameters: BTreeSet<String>,
    pub(crate) cursor: Option<String>,
}

impl Links {
    pub(crate) fn of<S: AsRef<str>>(lines: &[S]) -> Self {
        let mut links = Self::default();
        for line in lines.iter().map(AsRef::as_ref) {
            links.joined |= line.matches("rel=").count() > 1;
            links.own |= line.contains("rel=\"self\"");
            if line.contains("rel=\"next\"") {
                // Scrubbing ate the closing bracket of some recorded addresses.
                let address = line.trim_start_matches('<').split(['>', ';']).next().unwrap_or_default();
                links.next = Some(Next::of(address));
            }
        }
        links
    }
}

impl Next {
    fn of(address: &str) -> Self {
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
        Self {
            parameters: pairs().map(|(name, _)| name.to_owned()).collect(),
            cursor: pairs().find(|(name, _)| *name == "after").map(|(_, cursor)| cursor.to_owned()),
        }
    }
}
