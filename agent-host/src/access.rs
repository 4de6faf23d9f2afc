//! Who asks by HTTP, and what they may: a role, and the connections it holds for.
//!
//! Tokens of the API and operators of the dashboard are both callers; how each proves who they are is told elsewhere.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// What somebody may do. Each may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Starts and cancels runs, sends and approves orders, resets passwords.
    Operator,
    /// Changes settings and says who may do what.
    Administrator,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Administrator];

    /// As it is written in the store, in commands and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No role has this name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(text)).ok_or(UnknownRole)
    }
}

/// The connections that somebody's role holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every one, and what belongs to none: jobs, directories, the audit, who may do what.
    All,
    /// These alone, whatever the case of their names.
    Connections(Vec<String>),
}

/// Somebody who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As the audit names them: `token NAME` or `operator NAME`.
    pub name: String,
    /// What they may do …
    pub role: Role,
    /// … and where.
    pub scope: Scope,
}

impl Caller {
    /// Whether they may do what asks for this role everywhere.
    pub fn may(&self, role: Role) -> bool {
        self.role >= role && self.scope == Scope::All
    }

    /// Whether they may do what asks for this role in one connection.
    pub fn may_in(&self, role: Role, connection: &str) -> bool {
        let is_within = match &self.scope {
            Scope::All => true,
            Scope::Connections(names) => names.iter().any(|name| name.eq_ignore_ascii_case(connection)),
        };
        self.role >= role && is_within
    }
}

/// What stands for an address where attempts are counted: of an IPv6 address its network.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_holds_for_its_connections_alone() {
        let caller = |role, scope| Caller { name: "token t".to_owned(), role, scope };
        let one = caller(Role::Operator, Scope::Connections(vec!["Okta.Emea".to_owned()]));
        assert!(one.may_in(Role::Viewer, "okta.emea") && one.may_in(Role::Operator, "Okta.Emea"));
        assert!(!one.may_in(Role::Administrator, "Okta.Emea"));
        assert!(!one.may_in(Role::Viewer, "Okta.Apac") && !one.may(Role::Viewer));
        let all = caller(Role::Viewer, Scope::All);
        assert!(all.may(Role::Viewer) && all.may_in(Role::Viewer, "Okta.Apac") && !all.may(Role::Operator));
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("Operator".parse(), Ok(Role::Operator));
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
