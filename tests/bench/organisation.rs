//! The size of an organisation, and the fewest requests that read all of it.

/// What the sandbox is asked to make up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Organisation {
    pub users: u64,
    /// Everyone included.
    pub groups: u64,
    pub apps: u64,
    /// Spread evenly over the groups but Everyone, which has all users.
    pub memberships: u64,
}

impl Organisation {
    /// The fewest requests by the sizes of Okta's pages, with one for each app, whose groups fit into a page.
    pub(crate) fn minimum_requests(&self) -> u64 {
        let others = self.groups - 1;
        let (each, one_more) = (self.memberships / others, self.memberships % others);
        let members = self.users.div_ceil(1_000)
            + (others - one_more) * each.div_ceil(1_000)
            + one_more * (each + 1).div_ceil(1_000);
        self.users.div_ceil(200) + self.groups.div_ceil(200) + self.apps.div_ceil(200) + members + self.apps
    }

    /// Users and memberships, Everyone's included: what nearly all of an export consists of.
    pub(crate) fn records(&self) -> u64 {
        2 * self.users + self.memberships
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_one_larger_may_take_a_request_more() {
        let organisation = Organisation { users: 10_000, groups: 200, apps: 20, memberships: 199 * 200 };
        assert_eq!(organisation.minimum_requests(), 50 + 1 + 1 + 10 + 199 + 20);
        let organisation = Organisation { users: 2_000, groups: 3, apps: 0, memberships: 2_001 };
        assert_eq!(organisation.minimum_requests(), 10 + 1 + 2 + 1 + 2);
    }
}
