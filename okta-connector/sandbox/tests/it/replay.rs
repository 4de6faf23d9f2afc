//! Plays one recording against a sandbox of its own, step by step in the recorded order.
//!
//! The sandbox gives other ids and cursors than Okta gave. Each answer teaches which of ours stands for which of the
//! recorded ones, and later requests are rewritten accordingly.

use std::collections::BTreeMap;

use okta_sandbox::{Limits, Sandbox, SandboxConfig, Seed};
use reqwest::header::{ACCEPT, LINK};
use serde_json::Value;

use crate::answer::{Answer, Links};
use crate::recordings::{Exchange, Recording};
use crate::signer::Signer;
use crate::{presupposed, restored};

pub(crate) struct Replay {
    pub(crate) recording: Recording,
    /// The sandbox's answers, one for each exchange; none for a step which was not played.
    pub(crate) answers: Vec<Option<Answer>>,
    pub(crate) ids: Ids,
}

/// From recorded ids and cursors to the sandbox's.
#[derive(Default)]
pub(crate) struct Ids(BTreeMap<String, String>);

pub(crate) async fn play(recording: Recording) -> Replay {
    let seed = Seed::exact(1, 1, 0, 0);
    let sandbox = Sandbox::start(SandboxConfig { seed, ..SandboxConfig::default() }).await.unwrap();
    let caller = Caller::new(&sandbox);
    let mut signer = Signer::register(&sandbox, &recording.exchanges);
    let mut ids = presupposed::create(&recording, &caller).await;
    let mut answers = Vec::new();
    for (index, exchange) in recording.exchanges.iter().enumerate() {
        if exchange.answer.is_stand_in() {
            answers.push(None);
            continue;
        }
        let target = ids.rewrite(&restored::target(&recording.name, index, exchange));
        let body = restored::body(exchange).map(|body| ids.rewrite(&body.to_string()));
        let answer = match &mut signer {
            Some(signer) => {
                let (body, headers) = match exchange.is_token_request() {
                    true => {
                        let (form, headers) = signer.token_request(exchange);
                        (Some(form), headers)
                    }
                    false if exchange.has_proof => (body, signer.call(exchange, &target)),
                    false => (body, caller.headers()),
                };
                let answer = caller.send(&exchange.method, &target, body, &headers).await;
                signer.learn(&answer);
                answer
            }
            None => caller.call(&exchange.method, &target, body).await,
        };
        ids.learn(exchange, &answer);
        answers.push(Some(answer));
    }
    Replay { recording, answers, ids }
}

/// Repeats a request on a small plan until the sandbox has had enough.
pub(crate) async fn until_refused(exchange: &Exchange) -> Answer {
    let sandbox =
        Sandbox::start(SandboxConfig { limits: Limits::Integrator, ..SandboxConfig::default() }).await.unwrap();
    let caller = Caller::new(&sandbox);
    for _ in 0..1000 {
        let answer = caller.call(&exchange.method, &exchange.target, None).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("{} {} was never refused", exchange.method, exchange.target);
}

/// A client of one sandbox that holds its token.
pub(crate) struct Caller {
    client: reqwest::Client,
    origin: String,
    token: String,
}

impl Caller {
    fn new(sandbox: &Sandbox) -> Self {
        let origin = sandbox.url().trim_end_matches('/').to_owned();
        Self { client: reqwest::Client::new(), origin, token: format!("SSWS {}", sandbox.token()) }
    }

    /// With the API token, and JSON.
    pub(crate) async fn call(&self, method: &str, target: &str, body: Option<String>) -> Answer {
        self.send(method, target, body, &self.headers()).await
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("authorization", self.token.clone()), ("content-type", "application/json".to_owned())]
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<String>,
        headers: &[(&'static str, String)],
    ) -> Answer {
        let address = format!("{}{target}", self.origin);
        let request = self.client.request(method.parse().unwrap(), address).header(ACCEPT, "application/json");
        let mut request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut response = request.send().await.unwrap_or_else(|e| panic!("{method} {target}: {e}"));
        let lines: Vec<_> = response.headers().get_all(LINK).iter().map(|line| line.to_str().unwrap()).collect();
        let links = Links::of(&lines);
        let headers = Answer::headers(response.headers().keys().map(|name| name.as_str()));
        let nonce = response.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.extend_from_slice(&chunk);
        }
        let body = Answer::json(&String::from_utf8(text).unwrap());
        Answer { status: response.status().as_u16(), headers, links, body, nonce }
    }
}

impl Ids {
    pub(crate) fn get(&self, recorded: &str) -> Option<&str> {
        self.0.get(recorded).map(String::as_str)
    }

    pub(crate) fn has_ours(&self, ours: &str) -> bool {
        self.0.values().any(|known| known == ours)
    }

    pub(crate) fn insert(&mut self, recorded: &str, ours: &str) {
        // Anything shorter is a word that may stand elsewhere in a request.
        if recorded.len() >= 12 {
            self.0.entry(recorded.to_owned()).or_insert_with(|| ours.to_owned());
        }
    }

    /// Longest first: a recorded cursor holds a recorded id.
    fn rewrite(&self, text: &str) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
        pairs.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded.as_str(), ours))
    }

    fn learn(&mut self, exchange: &Exchange, ours: &Answer) {
        let cursor = |answer: &Answer| answer.links.next.as_ref()?.cursor.clone();
        if let (Some(recorded), Some(ours)) = (cursor(&exchange.answer), cursor(ours)) {
            self.insert(&recorded, &ours);
        }
        if let (Some(recorded), Some(ours)) = (&exchange.answer.body, &ours.body) {
            self.learn_from(recorded, ours);
        }
    }

    fn learn_from(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                for (key, recorded) in recorded {
                    match (recorded, ours.get(key)) {
                        (Value::String(recorded), Some(Value::String(ours)))
                            if matches!(key.as_str(), "id" | "kid" | "principalId") =>
                        {
                            self.insert(recorded, ours);
                        }
                        (recorded, Some(ours)) => self.learn_from(recorded, ours),
                        (_, None) => {}
                    }
                }
            }
            // Elements of a list correspond by place only where none is known from elsewhere.
            (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
                let known = |element: &Value| element["id"].as_str().is_some_and(|id| self.get(id).is_some());
                if !recorded.iter().any(known) {
                    recorded.iter().zip(ours).for_each(|(recorded, ours)| self.learn_from(recorded, ours));
                }
            }
            _ => {}
        }
    }
}
