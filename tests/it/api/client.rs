//! A program that calls the API: one request at a time, each on a connection of its own.

use std::{
    cell::RefCell,
    io::{Read, Write},
    net::TcpStream,
    rc::Rc,
};

use acceptance::TestAgent;
use serde_json::Value;

use crate::password::daemon::Daemon;

/// A daemon, and whoever has a token for it.
pub(super) struct Client {
    daemon: Rc<RefCell<Option<Daemon>>>,
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
        Self { daemon: Rc::new(RefCell::new(Some(daemon))), address, token: token.to_owned() }
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
        let mut stream = TcpStream::connect(&self.address).expect("the daemon listens");
        let token =
            if self.token.is_empty() { String::new() } else { format!("authorization: Bearer {}\r\n", self.token) };
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{token}{headers}content-length: {length}\r\n\r\n"
        );
        // Whoever refuses a body does not read it to the end.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("it answers in UTF-8");
        let (head, text) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let is_chunked = head.contains("transfer-encoding: chunked");
        assert!(!is_chunked, "every answer says how long it is:\n{head}");
        Reply { status, head: head.to_owned(), text: text.to_owned() }
    }

    /// Ends the daemon as an operating system does.
    pub(super) fn end(self) {
        let daemon = self.daemon.borrow_mut().take();
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
