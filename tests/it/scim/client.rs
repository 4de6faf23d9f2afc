//! A client of the inbox: one request at a time, each on a connection of its own.

use std::process::Command;

use acceptance::{TestAgent, http};
use serde_json::Value;

use crate::password::daemon::Daemon;
pub(super) use crate::password::daemon::until;

const SCIM_JSON: &str = "application/scim+json; charset=utf-8";

/// A daemon, and whoever has the token of its directory `acme`.
pub(super) struct Client {
    daemon: Daemon,
    token: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn start(agent: &TestAgent, token: &str) -> Self {
        Self::of(agent.command(&["run"]), token)
    }

    /// The daemon that the command starts.
    pub(super) fn of(command: Command, token: &str) -> Self {
        Self { daemon: Daemon::start(command), token: token.to_owned() }
    }

    pub(super) fn address(&self) -> &str {
        &self.daemon.address
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}/scim/v2/acme", self.daemon.address)
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
        self.try_ask(method, &format!("/scim/v2/acme{path}"), &self.bearer(), SCIM_JSON, body.as_bytes())
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
        self.try_ask(method, &target, &self.bearer(), kind, body).expect("the daemon answers")
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn try_ask(&self, method: &str, target: &str, authorization: &str, kind: &str, body: &[u8]) -> Option<Reply> {
        let authorization =
            if authorization.is_empty() { String::new() } else { format!("authorization: {authorization}\r\n") };
        let kind = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
        let headers = format!("user-agent: Okta SCIM Client 1.0.0\r\n{authorization}{kind}");
        let http::Answer { status, head, body } = http::request(&self.daemon.address, method, target, &headers, body)?;
        // Pages are no JSON.
        let body = serde_json::from_str(&body).unwrap_or_else(|_| Value::from(body.as_str()));
        Some(Reply { status, head, body })
    }

    /// Ends the daemon as an operating system does.
    pub(super) fn end(self) {
        self.daemon.end();
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(super) fn kill(&self) {
        self.daemon.kill();
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
