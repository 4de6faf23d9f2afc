//! A client of the inbox: one request at a time, each on a connection of its own.

use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use acceptance::{TestAgent, http};
use serde_json::Value;

use crate::password::daemon::Daemon;
pub(super) use crate::password::daemon::until;

const SCIM_JSON: &str = "application/scim+json; charset=utf-8";

/// Daemons of one store, and whoever may come into its directory `acme`, who asks them by turns.
pub(super) struct Client {
    daemons: Vec<Daemon>,
    turn: AtomicUsize,
    authorization: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Client {
    /// One daemon, and the token of the directory.
    pub(super) fn start(agent: &TestAgent, token: &str) -> Self {
        Self::of(vec![agent.command(&["run"])], &format!("Bearer {token}"))
    }

    /// Two daemons that share a store.
    pub(super) fn of_two(agent: &TestAgent, token: &str) -> Self {
        let replica = |folder: &str| {
            let mut command = agent.command(&["run"]);
            command.env("WorkFolderPath", agent.beside(folder));
            command
        };
        Self::of(["work-1", "work-2"].map(replica).into(), &format!("Bearer {token}"))
    }

    /// The daemons that the commands start, and what the client says in `Authorization`.
    pub(super) fn of(commands: Vec<Command>, authorization: &str) -> Self {
        let daemons = commands.into_iter().map(Daemon::start).collect();
        Self { daemons, turn: AtomicUsize::new(0), authorization: authorization.to_owned() }
    }

    /// The address of the daemon whose turn it is.
    pub(super) fn address(&self) -> &str {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.daemons[turn % self.daemons.len()].address
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}/scim/v2/acme", self.address())
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(body))
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, Some(body))
    }

    pub(super) fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send("PATCH", path, Some(body))
    }

    pub(super) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.try_send(method, path, body).expect("the daemon answers")
    }

    /// None where the daemon does not answer.
    pub(super) fn try_send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.try_ask(method, &format!("/scim/v2/acme{path}"), &self.authorization, SCIM_JSON, body.as_bytes())
    }

    pub(super) fn ask(&self, method: &str, target: &str, authorization: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.try_ask(method, target, authorization, SCIM_JSON, body.as_bytes()).expect("the daemon answers")
    }

    /// A form or whatever else.
    pub(super) fn ask_with(&self, method: &str, target: &str, authorization: &str, kind: &str, body: &str) -> Reply {
        self.try_ask(method, target, authorization, kind, body.as_bytes()).expect("the daemon answers")
    }

    /// Sends whatever bytes as whatever they call themselves, with the right token.
    pub(super) fn raw(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Reply {
        let target = format!("/scim/v2/acme{path}");
        self.try_ask(method, &target, &self.authorization, kind, body).expect("the daemon answers")
    }

    fn try_ask(&self, method: &str, target: &str, authorization: &str, kind: &str, body: &[u8]) -> Option<Reply> {
        let authorization =
            if authorization.is_empty() { String::new() } else { format!("authorization: {authorization}\r\n") };
        let kind = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
        let headers = format!("user-agent: Okta SCIM Client 1.0.0\r\n{authorization}{kind}");
        let http::Answer { status, head, body } = http::request(self.address(), method, target, &headers, body)?;
        // Pages are no JSON.
        let body = serde_json::from_str(&body).unwrap_or_else(|_| Value::from(body.as_str()));
        Some(Reply { status, head, body })
    }

    /// Ends the daemons as an operating system does.
    pub(super) fn end(self) {
        self.daemons.into_iter().for_each(Daemon::end);
    }

    /// Ends them at once, in the middle of whatever they do.
    pub(super) fn kill(&self) {
        self.daemons.iter().for_each(Daemon::kill);
    }
}

impl Reply {
    /// Checks the status; the body.
    #[track_caller]
    pub(super) fn must(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.head, name)
    }
}
