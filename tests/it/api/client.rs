//! A program that calls the API: one request at a time, each on a connection of its own.

use std::sync::{Arc, Mutex};

use acceptance::{TestAgent, http};
use serde_json::Value;

use crate::password::daemon::Daemon;

/// A daemon, and whoever has a token for it.
pub(super) struct Client {
    daemon: Arc<Mutex<Option<Daemon>>>,
    address: String,
    token: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) text: String,
}

impl Client {
    pub(super) fn start(agent: &TestAgent, token: &str) -> Self {
        let daemon = Daemon::start(agent.command(&["run"]));
        let address = daemon.address.clone();
        Self { daemon: Arc::new(Mutex::new(Some(daemon))), address, token: token.to_owned() }
    }

    /// The same daemon, called with another token.
    pub(super) fn with(&self, token: &str) -> Self {
        Self { daemon: self.daemon.clone(), address: self.address.clone(), token: token.to_owned() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    pub(super) fn post(&self, path: &str, body: Option<&Value>) -> Reply {
        self.send("POST", path, body)
    }

    pub(super) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let kind = if body.is_some() { "content-type: application/json\r\n" } else { "" };
        self.ask(method, path, kind, body.map(Value::to_string).unwrap_or_default().as_bytes())
    }

    /// A request with these further header lines, each with its end.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let token =
            if self.token.is_empty() { String::new() } else { format!("authorization: Bearer {}\r\n", self.token) };
        let answer = http::request(&self.address, method, path, &format!("{token}{headers}"), body);
        let http::Answer { status, head, body } = answer.expect("the daemon answers");
        assert!(!head.contains("transfer-encoding: chunked"), "every answer says how long it is:\n{head}");
        Reply { status, head, text: body }
    }

    /// Ends the daemon as an operating system does.
    pub(super) fn end(self) {
        let daemon = self.daemon.lock().expect("nobody panics with it").take();
        daemon.expect("it is ended once").end();
    }
}

impl Reply {
    /// Checks the status; the body. A refusal has a kind, a message and a hint.
    #[track_caller]
    pub(super) fn must(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        let body: Value = serde_json::from_str(&self.text).expect("the answer is JSON");
        if status >= 400 {
            let error = &body["error"];
            let is_told = ["kind", "message", "hint"].iter().all(|part| error[part].is_string());
            assert!(is_told, "a refusal says what to do: {body}");
        }
        body
    }
}
