//! How one directory wants to be served; the host gives it with each request.

use crate::store::UnknownMember;

/// How a client shows who it is, as `/ServiceProviderConfig` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// A token that somebody pasted into the client, RFC 6750.
    BearerToken,
    /// A key and a secret, RFC 7617.
    Basic,
    /// A token that the client gets by OAuth 2.0, RFC 6749.
    OAuth,
}

/// A directory's address, switches and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directory {
    /// The address below which `Users` lies, without `/` at the end, as clients see it: the beginning of each
    /// `location`.
    pub base_url: String,
    /// Whether users may be created.
    pub create: bool,
    /// Whether users may be changed otherwise than in `active`.
    pub update: bool,
    /// Whether users may be deactivated, reactivated and deleted.
    pub deactivate: bool,
    /// Whether there are groups.
    pub groups: bool,
    /// Whether users and groups can be listed. Where not, only look-ups by an identifying attribute find something, and
    /// every other list is empty rather than refused: Okta tests its credentials by a list.
    pub import: bool,
    /// What to do with a member that the directory does not have.
    pub unknown_member: UnknownMember,
    /// Whether no two groups may have one `displayName`.
    pub group_name_unique: bool,
    /// Whether what a client deletes leaves a trace for the host.
    pub soft_delete: bool,
    /// How clients show who they are, the preferred way first; the host checks it.
    pub authentication: &'static [Authentication],
    /// Whether the host does something with a password; where not, it is accepted and dropped.
    pub change_password: bool,
    /// How many resources an answer holds where the client does not say.
    pub page_size: usize,
    /// How many it holds at most.
    pub max_page_size: usize,
}

impl Directory {
    /// A directory at this address with everything switched on, pages of 100 and at most 1,000 resources.
    pub fn new(base_url: impl Into<String>) -> Self {
        let mut base_url = base_url.into();
        base_url.truncate(base_url.trim_end_matches('/').len());
        Self {
            base_url,
            create: true,
            update: true,
            deactivate: true,
            groups: true,
            import: true,
            unknown_member: UnknownMember::Keep,
            group_name_unique: false,
            soft_delete: false,
            authentication: &[Authentication::BearerToken],
            change_password: true,
            page_size: 100,
            max_page_size: 1_000,
        }
    }
}
