//! People and accounts side by side, and what each pair comes to. Pure: both come sorted by key, one after the other.
//!
//! Somebody without an account joins; somebody with one moves where it differs, or comes back where it is out of use; an
//! account whose key is not in the source leaves, if it is in the import's scope. Of several accounts with the same key the
//! one that is not deactivated counts; where that does not tell, none is touched.

use std::{io, iter::Peekable};

use serde_json::{Map, Value};

use super::{settings::Leavers, template::Template};

/// A record of the source.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// By which it is sorted and met.
    pub(super) key: String,
    pub(super) cells: Vec<String>,
}

/// An account as it is now.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) status: String,
    /// In the order of [`Rules::wanted`].
    pub(super) values: Vec<String>,
}

/// Who met whom.
#[derive(Debug)]
pub(super) enum Met<'a> {
    Joiner(&'a Person),
    Both(&'a Person, &'a Account),
    Gone(&'a Account),
    /// Their accounts cannot be told apart.
    Several(&'a Person),
}

/// Walks along both; accounts are given to it, people it takes.
pub(super) struct Comparison<P: Iterator<Item = io::Result<Person>>, T: FnMut(Met<'_>) -> io::Result<()>> {
    people: Peekable<P>,
    /// Accounts of one key.
    held: Vec<Account>,
    tell: T,
}

/// What an import wants of accounts.
#[derive(Debug)]
pub(super) struct Rules {
    /// Properties, and what their values are made of.
    pub(super) wanted: Vec<(String, Template)>,
    /// How many of `wanted`, at the end, say which accounts follow the source.
    pub(super) scope: usize,
    /// The property of the key, and where the source has it.
    pub(super) key: (String, usize),
    /// The property of an account's state, where leavers are put out of use by it.
    pub(super) status: Option<String>,
    pub(super) leavers: Leavers,
    pub(super) reactivates: bool,
}

/// What an account comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Join(Map<String, Value>),
    Move(Map<String, Value>),
    Return(Map<String, Value>),
    Leave(Option<Map<String, Value>>),
    Unchanged,
    /// It is deactivated, and not to be used again.
    Inactive,
    /// It follows nobody.
    Foreign,
}

impl<P: Iterator<Item = io::Result<Person>>, T: FnMut(Met<'_>) -> io::Result<()>> Comparison<P, T> {
    pub(super) fn new(people: P, tell: T) -> Self {
        Self { people: people.peekable(), held: Vec::new(), tell }
    }

    /// Takes the next account.
    pub(super) fn account(&mut self, account: Account) -> io::Result<()> {
        if self.held.first().is_some_and(|held| held.key != account.key) {
            self.meet()?;
        }
        self.held.push(account);
        Ok(())
    }

    /// There are no more accounts.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.meet()?;
        for person in self.people {
            (self.tell)(Met::Joiner(&person?))?;
        }
        Ok(())
    }

    fn meet(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let Some(key) = held.first().map(|account| account.key.as_str()) else { return Ok(()) };
        let is_before = |person: &io::Result<Person>| person.as_ref().map_or(true, |person| person.key.as_str() < key);
        while let Some(person) = self.people.next_if(is_before) {
            (self.tell)(Met::Joiner(&person?))?;
        }
        let is_same = |person: &io::Result<Person>| person.as_ref().map_or(true, |person| person.key == key);
        let Some(person) = self.people.next_if(is_same).transpose()? else {
            return held.iter().try_for_each(|account| (self.tell)(Met::Gone(account)));
        };
        let in_use: Vec<&Account> = held.iter().filter(|account| account.status != OUT_OF_USE).collect();
        match (held.as_slice(), in_use.as_slice()) {
            ([only], _) => (self.tell)(Met::Both(&person, only)),
            (_, [only]) => (self.tell)(Met::Both(&person, only)),
            _ => (self.tell)(Met::Several(&person)),
        }
    }
}

/// The state of a deactivated account.
const OUT_OF_USE: &str = "DEPROVISIONED";

impl Rules {
    /// What is to be done.
    pub(super) fn judge(&self, met: &Met<'_>) -> Verdict {
        match met {
            Met::Joiner(person) => Verdict::Join(self.changes(person, None)),
            Met::Both(person, account) => self.both(person, account),
            Met::Gone(account) => self.gone(account),
            Met::Several(_) => Verdict::Foreign,
        }
    }

    fn both(&self, person: &Person, account: &Account) -> Verdict {
        let is_out = account.status == OUT_OF_USE || self.leavers.state() == Some(account.status.as_str());
        let comes_back = is_out && self.reactivates && self.leavers.state() == Some(account.status.as_str());
        if account.status == OUT_OF_USE && !comes_back {
            return Verdict::Inactive;
        }
        let mut changes = self.changes(person, Some(account));
        match &self.status {
            Some(status) if comes_back => {
                changes.insert(status.clone(), Value::from("ACTIVE"));
                Verdict::Return(changes)
            }
            _ if changes.is_empty() => Verdict::Unchanged,
            _ => Verdict::Move(changes),
        }
    }

    fn gone(&self, account: &Account) -> Verdict {
        let first = self.wanted.len() - self.scope;
        let scope = self.wanted[first..].iter().zip(&account.values[first..]);
        if self.scope == 0 || scope.into_iter().any(|((_, wanted), is)| wanted.fill(&[]) != *is) {
            return Verdict::Foreign;
        }
        let is_out = account.status == OUT_OF_USE || self.leavers.state() == Some(account.status.as_str());
        match (self.leavers, &self.status) {
            _ if is_out => Verdict::Inactive,
            (Leavers::Nothing, _) => Verdict::Foreign,
            (Leavers::Delete, _) | (_, None) => Verdict::Leave(None),
            (_, Some(status)) => {
                let state = self.leavers.state().map(Value::from).unwrap_or_default();
                Verdict::Leave(Some(Map::from_iter([(status.clone(), state)])))
            }
        }
    }

    /// What differs from the account, or all that a new one needs.
    fn changes(&self, person: &Person, account: Option<&Account>) -> Map<String, Value> {
        let mut changes = Map::new();
        for (index, (property, template)) in self.wanted.iter().enumerate() {
            let wanted = template.fill(&person.cells);
            match account {
                Some(account) if account.values[index] == wanted => {}
                None if wanted.is_empty() => {}
                _ => drop(changes.insert(property.clone(), Value::from(wanted))),
            }
        }
        if account.is_none() {
            let (property, place) = &self.key;
            changes.insert(property.clone(), Value::from(person.cells[*place].trim()));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(leavers: Leavers) -> Rules {
        let template = |text| Template::parse(text, |_| 1).unwrap();
        Rules {
            wanted: vec![("name".to_owned(), template("{name}")), ("type".to_owned(), template("Employee"))],
            scope: 1,
            key: ("number".to_owned(), 0),
            status: Some("status".to_owned()),
            leavers,
            reactivates: true,
        }
    }

    fn person(key: &str, name: &str) -> Person {
        Person { key: key.to_owned(), cells: vec![key.to_owned(), name.to_owned()] }
    }

    fn account(key: &str, name: &str, of: &str, status: &str) -> Account {
        let values = vec![name.to_owned(), of.to_owned()];
        Account { key: key.to_owned(), id: format!("id-{key}-{name}"), status: status.to_owned(), values }
    }

    /// What comes of these, in the order of their keys.
    fn compare(people: &[Person], accounts: &[Account], rules: &Rules) -> Vec<String> {
        let mut told = Vec::new();
        let tell = |met: Met<'_>| {
            let verdict = match &met {
                Met::Several(person) => format!("{} several", person.key),
                met => {
                    let key = match met {
                        Met::Joiner(person) | Met::Both(person, _) => &person.key,
                        Met::Gone(account) => &account.key,
                        Met::Several(person) => &person.key,
                    };
                    let (word, changes) = match rules.judge(met) {
                        Verdict::Join(changes) => ("joins", Some(changes)),
                        Verdict::Move(changes) => ("moves", Some(changes)),
                        Verdict::Return(changes) => ("returns", Some(changes)),
                        Verdict::Leave(changes) => ("leaves", changes),
                        Verdict::Unchanged => ("unchanged", None),
                        Verdict::Inactive => ("inactive", None),
                        Verdict::Foreign => ("foreign", None),
                    };
                    let changes = changes.map_or_else(String::new, |changes| Value::from(changes).to_string());
                    format!("{key} {word} {changes}").trim().to_owned()
                }
            };
            told.push(verdict);
            Ok(())
        };
        let mut comparison = Comparison::new(people.iter().cloned().map(Ok), tell);
        accounts.iter().for_each(|account| comparison.account(account.clone()).unwrap());
        comparison.finish().unwrap();
        told
    }

    #[test]
    fn people_and_accounts_meet_by_their_key() {
        let people = ["1", "2", "3", "5", "6", "7", "9"].map(|key| person(key, "Ada"));
        let accounts = [
            account("0", "Ada", "Employee", "ACTIVE"),
            account("2", "Ada", "Employee", "ACTIVE"),
            account("3", "Bob", "Guest", "ACTIVE"),
            account("4", "Ada", "Guest", "ACTIVE"),
            account("5", "Ada", "Employee", "DEPROVISIONED"),
            account("6", "Ada", "Employee", "ACTIVE"),
            account("6", "Bob", "Employee", "SUSPENDED"),
            account("7", "Bob", "Employee", "DEPROVISIONED"),
            account("7", "Ada", "Employee", "ACTIVE"),
            account("8", "Ada", "Employee", "DEPROVISIONED"),
        ];
        let expected = [
            r#"0 leaves {"status":"DEPROVISIONED"}"#,
            r#"1 joins {"name":"Ada","type":"Employee","number":"1"}"#,
            "2 unchanged",
            r#"3 moves {"name":"Ada","type":"Employee"}"#,
            "4 foreign",
            r#"5 returns {"status":"ACTIVE"}"#,
            "6 several",
            "7 unchanged",
            "8 inactive",
            r#"9 joins {"name":"Ada","type":"Employee","number":"9"}"#,
        ];
        assert_eq!(compare(&people, &accounts, &rules(Leavers::Deactivate)), expected);
    }

    #[test]
    fn what_becomes_of_leavers_is_said_by_the_settings() {
        let account = |status| [account("1", "Ada", "Employee", status)];
        for (leavers, status, expected) in [
            (Leavers::Nothing, "ACTIVE", "1 foreign"),
            (Leavers::Suspend, "ACTIVE", r#"1 leaves {"status":"SUSPENDED"}"#),
            (Leavers::Suspend, "SUSPENDED", "1 inactive"),
            (Leavers::Deactivate, "SUSPENDED", r#"1 leaves {"status":"DEPROVISIONED"}"#),
            (Leavers::Delete, "ACTIVE", "1 leaves"),
        ] {
            assert_eq!(compare(&[], &account(status), &rules(leavers)), [expected], "{leavers:?} {status}");
        }
        let back = |leavers, status| compare(&[person("1", "Ada")], &account(status), &rules(leavers));
        assert_eq!(back(Leavers::Suspend, "SUSPENDED"), [r#"1 returns {"status":"ACTIVE"}"#]);
        assert_eq!(back(Leavers::Deactivate, "SUSPENDED"), ["1 unchanged"], "somebody else suspended it");
        assert_eq!(back(Leavers::Suspend, "DEPROVISIONED"), ["1 inactive"], "somebody else deactivated it");
        let unscoped = Rules { scope: 0, ..rules(Leavers::Deactivate) };
        assert_eq!(compare(&[], &account("ACTIVE"), &unscoped), ["1 foreign"]);
    }
}
