//! A few lines of HTTP client, one connection a request: they keep bytes visible that a library would hide
//! (broken bodies, separate Link lines), and send any header.

use std::io::{Read, Write};
use std::net::TcpStream;

use okta_sandbox::{Sandbox, SandboxConfig, Seed};
use serde_json::{Value, json};

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.json().as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Path and query of the next link.
    pub(crate) fn next(&self) -> Option<String> {
        let links = self.all("link");
        let next = links.iter().find(|link| link.ends_with("rel=\"next\""))?;
        let url = next.split('>').next()?.trim_start_matches('<');
        Some(url[url.find("/api").unwrap()..].to_owned())
    }
}

pub(crate) fn send(sandbox: &Sandbox, method: &str, target: &str, headers: &str, body: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(sandbox.url().trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: o\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut bytes = Vec::new();
    // A broken connection leaves what came before it.
    let _ = stream.read_to_end(&mut bytes);
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Some(Reply { status, headers, body: bytes[split + 4..].to_vec() })
}

pub(crate) fn ask(sandbox: &Sandbox, method: &str, target: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(sandbox, method, target, "Authorization: SSWS sandbox-token\r\n", &body).unwrap()
}

pub(crate) fn get(sandbox: &Sandbox, target: &str) -> Reply {
    ask(sandbox, "GET", target, &Value::Null)
}

pub(crate) fn post(sandbox: &Sandbox, target: &str) -> Reply {
    ask(sandbox, "POST", target, &Value::Null)
}

pub(crate) fn walk(sandbox: &Sandbox, first: &str) -> Vec<String> {
    let (mut ids, mut target) = (Vec::new(), Some(first.to_owned()));
    while let Some(at) = target {
        let reply = get(sandbox, &at);
        ids.extend(reply.ids());
        target = reply.next();
    }
    ids
}

pub(crate) async fn started(seed: Seed) -> Sandbox {
    Sandbox::start(SandboxConfig { seed, ..SandboxConfig::default() }).await.unwrap()
}

pub(crate) fn person(login: &str) -> Value {
    json!({"profile": {"login": login, "email": login, "firstName": "Ada", "lastName": "L"},
        "credentials": {"password": {"value": "Password150kta"}}})
}
