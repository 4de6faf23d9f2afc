//! A client of the inbox: one request at a time, each on a connection of its own.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use acceptance::TestAgent;
use serde_json::Value;

use crate::password::daemon::Daemon;
pub(super) use crate::password::daemon::until;

/// A daemon, and whoever has the token of its directory `acme`.
pub(super) struct Client {
    daemon: Daemon,
    token: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn start(agent: &TestAgent, token: &str) -> Self {
        Self { daemon: Daemon::start(agent.command(&["run"])), token: token.to_owned() }
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
        self.ask(method, &format!("/scim/v2/acme{path}"), &format!("Bearer {}", self.token), body)
    }

    pub(super) fn ask(&self, method: &str, target: &str, authorization: &str, body: Option<&Value>) -> Reply {
        self.try_ask(method, target, authorization, body).expect("the daemon answers")
    }

    /// None where the daemon does not answer.
    pub(super) fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        self.try_ask("POST", &format!("/scim/v2/acme{path}"), &format!("Bearer {}", self.token), Some(body))
    }

    fn try_ask(&self, method: &str, target: &str, authorization: &str, body: Option<&Value>) -> Option<Reply> {
        let mut stream = TcpStream::connect(&self.daemon.address).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let authorization =
            if authorization.is_empty() { String::new() } else { format!("authorization: {authorization}\r\n") };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nuser-agent: Okta SCIM Client 1.0.0\r\n\
             {authorization}content-type: application/scim+json; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
            self.daemon.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).ok()? };
        Some(Reply { status, body })
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
}
