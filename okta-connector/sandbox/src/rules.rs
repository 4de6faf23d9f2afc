//! Group rules: `user.attribute == "value"` puts users into groups and takes them out again.
//! Okta: created inactive; changed only while inactive; a rule whose group is deleted turns `INVALID` (recorded).
//! Only `==`, `!=` and `String.stringContains` are understood; any other expression matches nobody.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::clock::seconds;
use crate::org::Org;
use crate::user::User;

#[derive(Debug)]
pub(crate) struct Rule {
    pub id: String,
    pub status: &'static str,
    pub name: String,
    pub created: i64,
    pub last_updated: i64,
    pub expression: String,
    pub groups: Vec<String>,
    /// Row numbers of users this rule put into its groups.
    pub placed: BTreeSet<u32>,
}

impl Rule {
    pub(crate) fn value(&self) -> Value {
        json!({
            "type": "group_rule",
            "id": self.id,
            "status": self.status,
            "name": self.name,
            "created": seconds(self.created),
            "lastUpdated": seconds(self.last_updated),
            "conditions": {"expression": {"value": self.expression, "type": "urn:okta:expression:1.0"}},
            "actions": {"assignUserToGroups": {"groupIds": self.groups}},
        })
    }

    pub(crate) fn forget_user(&mut self, user: u32) {
        self.placed.remove(&user);
    }

    pub(crate) fn lose_group(&mut self, group: &str) {
        if self.groups.iter().any(|known| known == group) {
            self.status = "INVALID";
        }
    }
}

impl Org {
    /// Puts one active rule into effect for all users, or for one.
    pub(crate) fn apply_rule(&mut self, rule: usize, only: Option<u32>, now: i64) {
        let Some(known) = self.rules.get(rule).filter(|rule| rule.status == "ACTIVE") else { return };
        let in_scope = |row: u32| only.is_none_or(|wanted| wanted == row);
        let wanted: BTreeSet<u32> = self
            .users
            .from(only.map_or(0, u64::from))
            .take(if only.is_some() { 1 } else { usize::MAX })
            .filter_map(|(row, user)| Some((u32::try_from(row).ok()?, user)))
            .filter(|(row, user)| in_scope(*row) && holds(&known.expression, user))
            .map(|(row, _)| row)
            .collect();
        let gone: Vec<u32> =
            known.placed.iter().copied().filter(|row| in_scope(*row) && !wanted.contains(row)).collect();
        let groups: Vec<u32> = known.groups.iter().filter_map(|id| self.groups.row(id)).collect();
        for group in groups {
            for (row, added) in wanted.iter().map(|row| (*row, true)).chain(gone.iter().map(|row| (*row, false))) {
                self.change_member(group, row, added, now);
            }
        }
        let placed = &mut self.rules[rule].placed;
        placed.extend(wanted);
        placed.retain(|row| !gone.contains(row));
    }

    /// Puts all active rules into effect for a user that changed.
    pub(crate) fn apply_rules(&mut self, user: u32, now: i64) {
        for rule in 0..self.rules.len() {
            self.apply_rule(rule, Some(user), now);
        }
    }
}

fn holds(expression: &str, user: &User) -> bool {
    let unquote = |text: &str| text.trim().trim_matches('"').to_owned();
    let attribute = |text: &str| text.trim().strip_prefix("user.").map(|name| user.attribute(name).into_owned());
    if let Some((left, right)) = expression.split_once("==") {
        return attribute(left).is_some_and(|value| value == unquote(right));
    }
    if let Some((left, right)) = expression.split_once("!=") {
        return attribute(left).is_some_and(|value| value != unquote(right));
    }
    let inner = expression.trim().strip_prefix("String.stringContains(").and_then(|rest| rest.strip_suffix(')'));
    inner
        .and_then(|inner| inner.split_once(','))
        .is_some_and(|(left, right)| attribute(left).is_some_and(|value| value.contains(&unquote(right))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::Status;

    #[test]
    fn understands_the_simple_expressions() {
        let mut user = User::new("00u1", Status::Active, "oty1".into(), 0);
        user.write("", r#"{"lastName":"Doe","department":"Field Sales"}"#);
        assert!(holds(r#"user.lastName=="Doe""#, &user));
        assert!(!holds(r#"user.lastName != "Doe""#, &user));
        assert!(holds(r#"String.stringContains(user.department, "Sales")"#, &user));
        assert!(!holds("isMemberOfAnyGroup(\"00g1\")", &user));
    }
}
