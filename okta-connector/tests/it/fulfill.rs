//! Provisioning orders against the sandbox: what each kind sends, what it leaves, what it is told.
//!
//! The journal kept here is the host's part, in memory. What was sent is judged by the sandbox's own journal, what is
//! there afterwards by its state.

mod apps;
mod budgets;
mod create;
mod groups;
mod guards;
mod links;
mod lost;
mod preview;
mod status;
mod users;
mod values;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use connector_api::{
    ChangeType, Connector, Earlier, Effect, Error, ErrorKind, Fulfillment, Journal, LinkAction, LinkChange,
    ProvisioningOrder, RecordKey, Result, async_trait,
};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};

use crate::World;

/// The steps of one order: begun, and done with a result.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, Option<String>>>);

#[async_trait]
impl Journal for Memory {
    async fn begin(&self, step: &str) -> Result<Earlier> {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match steps.get(step) {
            None => {
                steps.insert(step.to_owned(), None);
                Earlier::None
            }
            Some(None) => Earlier::Unknown,
            Some(Some(result)) => Earlier::Done(result.clone()),
        })
    }

    async fn done(&self, step: &str, result: &str) -> Result<()> {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = steps.get_mut(step).unwrap_or_else(|| panic!("`{step}` begins before it is done"));
        *begun = Some(result.to_owned());
        Ok(())
    }
}

impl Memory {
    /// As a process leaves it that was killed after these steps began.
    fn begun(steps: &[&str]) -> Self {
        Self(Mutex::new(steps.iter().map(|step| ((*step).to_owned(), None)).collect()))
    }

    fn steps(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

fn order(change: ChangeType, table: &str, id: &str, values: Value) -> ProvisioningOrder {
    let mut order = ProvisioningOrder::new("1", change, table);
    order.key = (change != ChangeType::Added).then(|| by_id(id));
    let Value::Object(values) = values else { panic!("values are an object") };
    order.values = values.into_iter().collect();
    order.unique = vec!["profile.login".to_owned(), "profile.employeeNumber".to_owned(), "label".to_owned()];
    order
}

fn added(table: &str, values: Value) -> ProvisioningOrder {
    order(ChangeType::Added, table, "", values)
}

fn modified(table: &str, id: &str, values: Value) -> ProvisioningOrder {
    order(ChangeType::Modified, table, id, values)
}

fn deleted(table: &str, id: &str) -> ProvisioningOrder {
    order(ChangeType::Deleted, table, id, json!({}))
}

fn by_id(id: &str) -> RecordKey {
    RecordKey { column: "id".to_owned(), value: id.to_owned() }
}

fn link(table: &str, side: usize, other: &str, action: LinkAction) -> LinkChange {
    LinkChange { table: table.to_owned(), side, other: by_id(other), action, values: BTreeMap::new() }
}

fn person(login: &str) -> Value {
    json!({"profile.login": login, "profile.email": login, "profile.firstName": "Ada", "profile.lastName": "Lovelace"})
}

/// An organisation with three accounts, two groups and two apps that nothing links.
async fn world() -> World {
    World::new(Seed::exact(3, 2, 2, 0)).await
}

impl World {
    /// Carries an order out on a connector of its own and with a journal of its own.
    async fn fulfill(&self, order: &ProvisioningOrder, more: &[(&str, &str)]) -> Result<Fulfillment> {
        self.connector(more).fulfill(order, &Memory::default()).await
    }

    /// The same; forgets what was sent before.
    async fn sent_by(&self, order: &ProvisioningOrder, more: &[(&str, &str)]) -> (Result<Fulfillment>, Vec<String>) {
        self.sandbox.clear_journal();
        let outcome = self.fulfill(order, more).await;
        (outcome, self.sent())
    }

    /// Method, path below the API and query of each request so far, but for the schemas.
    pub(crate) fn sent(&self) -> Vec<String> {
        let journal = self.sandbox.journal();
        let sent = journal.iter().filter(|exchange| !exchange.path.contains("/meta/")).map(|exchange| {
            let query = if exchange.query.is_empty() { String::new() } else { format!("?{}", exchange.query) };
            format!("{} {}{query}", exchange.method, exchange.path.trim_start_matches("/api/v1/"))
        });
        sent.collect()
    }

    /// The writes that Okta carried out.
    pub(crate) fn writes(&self) -> usize {
        let journal = self.sandbox.journal();
        journal.iter().filter(|exchange| exchange.method != "GET" && exchange.status < 300).count()
    }

    fn user_of(&self, login: &str) -> Value {
        self.sandbox.with_org(|org| org.user(login)).unwrap_or_else(|| panic!("`{login}` is there"))
    }

    fn id_of(&self, login: &str) -> String {
        self.user_of(login)["id"].as_str().expect("an id").to_owned()
    }

    /// The account whose API token the connection has; forgets what was sent before.
    pub(crate) async fn own_account(&self) -> String {
        let me: Value =
            serde_json::from_str(&crate::call(&self.sandbox, "GET", "/api/v1/users/me").await).expect("JSON");
        self.sandbox.clear_journal();
        me["id"].as_str().expect("an id").to_owned()
    }

    fn nth(&self, table: &str, place: usize) -> String {
        self.sandbox.with_org(|org| match table {
            "users" => org.user_ids(),
            "groups" => org.group_ids(),
            _ => org.app_ids(),
        })[place]
            .clone()
    }

    fn group(&self, name: &str) -> String {
        self.sandbox.with_org(|org| org.add_group(name))
    }

    fn strike_writes(&self, method: &str, path: &str, action: FaultAction, times: u32) {
        self.sandbox.add_fault(Fault::new(action).on(method, path).times(times));
    }
}

#[track_caller]
fn assert_rejected(outcome: Result<Fulfillment>, words: &[&str]) {
    let error = outcome.expect_err("the order is refused");
    assert_told(&error, ErrorKind::Rejected, words);
}

#[track_caller]
fn assert_told(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error} says what to do");
    for word in words {
        assert!(error.to_string().contains(word), "{error} holds {word}");
    }
}

#[track_caller]
fn assert_effect(outcome: Result<Fulfillment>, effect: Effect) -> Fulfillment {
    let outcome = outcome.expect("the order is carried out");
    assert_eq!(outcome.effect, effect, "{outcome:?}");
    outcome
}
