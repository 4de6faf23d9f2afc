//! Where an inbox can lie: in a file, in PostgreSQL, and in PostgreSQL behind two agents that are asked by turns.

use std::io::Write;

use acceptance::TestAgent;
use serde_json::json;

use super::{client::Client, create};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Sqlite,
    Postgres,
    TwoReplicas,
}

/// Says on which store it was that a test failed.
struct Named(Store);

impl Store {
    pub(super) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::TwoReplicas];

    /// Settings for an agent with this store; false where there can be none, which PostgreSQL's part says.
    pub(super) fn prepare(self, agent: &TestAgent) -> bool {
        if self == Self::Sqlite {
            return true;
        }
        let Some(url) = passing_postgres::database() else { return false };
        agent.write("appsettings.agent.json", &json!({ "Store": { "Url": url } }).to_string());
        true
    }

    pub(super) fn start(self, agent: &TestAgent, token: &str) -> Client {
        match self {
            Self::Sqlite | Self::Postgres => Client::start(agent, token),
            Self::TwoReplicas => Client::of_two(agent, token),
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Who cannot hear it hears of the failure all the same.
            let _ = writeln!(std::io::stderr(), "it was on {:?}", self.0);
        }
    }
}

/// Has the client of a new directory, made with these further arguments, act on a store.
pub(super) fn on(store: Store, further: &[&str], act: impl Fn(&Client)) {
    let agent = TestAgent::new();
    if !store.prepare(&agent) {
        return;
    }
    let _named = Named(store);
    let client = store.start(&agent, &create(&agent, further));
    act(&client);
    client.end();
}

/// On every store.
pub(super) fn on_each(further: &[&str], act: impl Fn(&Client)) {
    for store in Store::ALL {
        on(store, further, &act);
    }
}
