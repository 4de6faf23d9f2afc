//! The lists an export reads: which request begins each.
//!
//! Sources: Okta's API reference for users, groups and apps. All statuses in one cursor (`search=status pr`),
//! the columns asked for by `fields`, counts by `expand=stats`, and the largest page each list allows.

use std::fmt::Write;

use crate::{client::Request, error::Refusal, governor::Lane, settings::OktaSettings, tables::bucket};

const USER_PAGE: u32 = 200;
const GROUP_PAGE: u32 = 200;
const APP_PAGE: u32 = 200;
/// Members are the only list that allows more than 500.
pub(crate) const MEMBER_PAGE: u32 = 1000;
pub(crate) const ASSIGNMENT_PAGE: u32 = 200;
/// A page is not halved below this.
const SMALLEST_PAGE: u32 = 25;
/// Okta advises 200 where a larger page of members fails.
const SMALLEST_MEMBER_PAGE: u32 = 200;

const DEPROVISIONED: &str = "DEPROVISIONED";

/// How users are listed; each way is tried when the one before is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserList {
    /// By `search`, with `fields` where that is possible.
    Search { projected: bool },
    /// Everyone but the deprovisioned, without a query.
    Plain { projected: bool },
    /// The deprovisioned, by `filter`.
    Deprovisioned { projected: bool },
}

impl UserList {
    pub(crate) fn first(settings: &OktaSettings) -> Self {
        if settings.user_filter.is_some() || settings.include_deprovisioned {
            Self::Search { projected: true }
        } else {
            Self::Plain { projected: true }
        }
    }

    /// The request for the first page.
    pub(crate) fn request(self, settings: &OktaSettings, columns: &[String]) -> Request {
        let (query, projected) = match self {
            Self::Search { projected } => (Some(("search", search_expression(settings))), projected),
            Self::Plain { projected } => (None, projected),
            Self::Deprovisioned { projected } => {
                (Some(("filter", format!("status eq \"{DEPROVISIONED}\""))), projected)
            }
        };
        let mut target = format!("/api/v1/users?limit={USER_PAGE}");
        if let Some((name, expression)) = query {
            push_parameter(&mut target, name, &expression);
        }
        if let Some(fields) = projection(columns).filter(|_| projected) {
            push_parameter(&mut target, "fields", &fields);
        }
        let light = !columns.iter().any(|path| {
            path.starts_with("credentials") || path.starts_with("_links") || path == "transitioningToStatus"
        });
        request(bucket::USERS, Lane::List, target, "listing `users`".to_owned(), light)
    }

    /// Another way to the same users, where Okta refuses this one so.
    pub(crate) fn otherwise(self, refusal: &Refusal, settings: &OktaSettings) -> Option<Self> {
        match self {
            Self::Search { projected } if refusal.rules_out_search() && settings.user_filter.is_none() => {
                Some(Self::Plain { projected })
            }
            _ if refusal.status != 400 => None,
            Self::Search { projected: true } => Some(Self::Search { projected: false }),
            Self::Plain { projected: true } => Some(Self::Plain { projected: false }),
            Self::Deprovisioned { projected: true } => Some(Self::Deprovisioned { projected: false }),
            _ => None,
        }
    }

    /// The list that must follow for the users to be complete.
    pub(crate) fn then(self, settings: &OktaSettings) -> Option<Self> {
        match self {
            Self::Plain { projected } if settings.include_deprovisioned => Some(Self::Deprovisioned { projected }),
            _ => None,
        }
    }
}

/// `search` for the users wanted. It knows no "not", so leaving some out means naming all others.
fn search_expression(settings: &OktaSettings) -> String {
    const OTHERS: [&str; 7] =
        ["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED"];
    match (&settings.user_filter, settings.include_deprovisioned) {
        (None, _) => "status pr".to_owned(),
        (Some(filter), true) => filter.clone(),
        (Some(filter), false) => {
            let others: Vec<String> = OTHERS.iter().map(|status| format!("status eq \"{status}\"")).collect();
            format!("({filter}) and ({})", others.join(" or "))
        }
    }
}

/// The value of `fields` that brings the columns; none where a column cannot be asked for so.
fn projection(columns: &[String]) -> Option<String> {
    let (mut fields, mut profile): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for path in columns {
        let mut segments = path.split('.');
        let (list, name) = match (segments.next()?, segments.next()) {
            ("profile", Some(name)) => (&mut profile, name),
            ("profile" | "_links" | "_embedded", _) => return None,
            (field, _) => (&mut fields, field),
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        if !list.contains(&name) {
            list.push(name);
        }
    }
    if fields.is_empty() && profile.is_empty() {
        // Identities come unasked, but an empty list of fields is none.
        fields.push("id");
    }
    let mut text = fields.join(",");
    if !profile.is_empty() {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}profile:({})", profile.join(","));
    }
    Some(text)
}

/// The list of groups, with counts of members and apps where something follows from them.
pub(crate) fn groups(settings: &OktaSettings, with_counts: bool) -> Request {
    let mut target = format!("/api/v1/groups?limit={GROUP_PAGE}");
    if with_counts {
        push_parameter(&mut target, "expand", "stats");
    }
    if let Some(filter) = &settings.group_filter {
        push_parameter(&mut target, "search", filter);
    }
    request(bucket::GROUPS, Lane::List, target, "listing `groups`".to_owned(), false)
}

pub(crate) fn apps(settings: &OktaSettings) -> Request {
    let mut target = format!("/api/v1/apps?limit={APP_PAGE}");
    if let Some(filter) = &settings.app_filter {
        push_parameter(&mut target, "filter", filter);
    }
    request(bucket::APPS, Lane::List, target, "listing `apps`".to_owned(), false)
}

pub(crate) fn members(group: &str) -> Request {
    let target = format!("/api/v1/groups/{}/users?limit={MEMBER_PAGE}", encoded(group));
    let request = request(bucket::GROUPS, Lane::Fan, target, format!("listing the members of group `{group}`"), true);
    Request { smallest_limit: SMALLEST_MEMBER_PAGE, ..request }
}

pub(crate) fn groups_of_app(app: &str) -> Request {
    let target = format!("/api/v1/apps/{}/groups?limit={ASSIGNMENT_PAGE}", encoded(app));
    request(bucket::APPS, Lane::Fan, target, format!("listing the groups of app `{app}`"), false)
}

pub(crate) fn apps_of_group(group: &str) -> Request {
    let target = format!("/api/v1/groups/{}/apps?limit={ASSIGNMENT_PAGE}", encoded(group));
    request(bucket::GROUPS, Lane::Fan, target, format!("listing the apps of group `{group}`"), false)
}

pub(crate) fn group(group: &str) -> Request {
    request(
        bucket::GROUP,
        Lane::Fan,
        format!("/api/v1/groups/{}", encoded(group)),
        format!("reading group `{group}`"),
        false,
    )
}

pub(crate) fn app(app: &str) -> Request {
    request(bucket::APP, Lane::Fan, format!("/api/v1/apps/{}", encoded(app)), format!("reading app `{app}`"), false)
}

fn request(bucket: &'static str, lane: Lane, target: String, what: String, light: bool) -> Request {
    Request { bucket, lane, target, what, light, smallest_limit: SMALLEST_PAGE }
}

fn push_parameter(target: &mut String, name: &str, value: &str) {
    target.push('&');
    target.push_str(name);
    target.push('=');
    target.push_str(&encoded(value));
}

/// Percent-encoded for a path segment or a parameter.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// Whether a member with this status is left out with the deprovisioned users.
pub(crate) fn is_deprovisioned(status: &str) -> bool {
    status == DEPROVISIONED
}

/// The column of the group in a table of links.
pub(crate) const GROUP_COLUMN: &str = "groupId";
/// The column of the app in `groupsapps`.
pub(crate) const APP_COLUMN: &str = "appId";

/// The requests that the members of a group take.
pub(crate) fn member_pages(users: u64) -> u64 {
    users.div_ceil(MEMBER_PAGE.into())
}

/// The requests that the users take.
pub(crate) fn user_pages(users: u64) -> u64 {
    users.div_ceil(USER_PAGE.into()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn fields_ask_for_each_name_once() {
        let columns =
            paths(&["id", "type.id", "profile.city", "type", "profile.address.street", "profile.address.zip"]);
        assert_eq!(projection(&columns).as_deref(), Some("id,type,profile:(city,address)"));
        assert_eq!(projection(&paths(&["profile.a b"])), None);
        assert_eq!(projection(&paths(&["id", "_links.self.href"])), None);
        assert_eq!(projection(&paths(&["profile"])), None);
        assert_eq!(projection(&paths(&["profile.city"])).as_deref(), Some("profile:(city)"));
        assert_eq!(projection(&[]).as_deref(), Some("id"));
    }
}
