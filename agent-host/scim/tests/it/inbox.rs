//! A directory of its own for each test, and a client that speaks to it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use reqwest::{Method, header::HeaderMap};
use scim_server::Directory;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{memory::Memory, serve};

pub(crate) const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Each look at the clock is a second later than the one before.
static NOW_MS: AtomicI64 = AtomicI64::new(1_700_000_000_000);

pub(crate) struct Inbox {
    pub(crate) base_url: String,
    http: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null where there is none.
    pub(crate) body: Value,
}

impl Inbox {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With other switches.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Directory)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = serve::base_url(listener.local_addr().unwrap());
        let mut directory = Directory::new(format!("{base_url}/"));
        change(&mut directory);
        let store = Arc::new(Memory::new(|| NOW_MS.fetch_add(1_000, Ordering::Relaxed)));
        tokio::spawn(serve::serve(listener, store, directory));
        Self { base_url, http: reqwest::Client::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    /// A PATCH of these operations.
    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Reply {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let mut all = vec![("authorization", "Bearer s3cret")];
        if body.is_some() {
            all.push(("content-type", "application/scim+json; charset=utf-8"));
        }
        all.extend(headers);
        self.raw(method, path, &all, body.map(|body| body.to_string().into_bytes()).unwrap_or_default()).await
    }

    /// Exactly these headers and bytes.
    pub(crate) async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.body(body).send().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// Creates a user and gives its id.
    pub(crate) async fn user(&self, body: Value) -> String {
        self.post("/Users", body).await.expect(201).body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn group(&self, body: Value) -> String {
        self.post("/Groups", body).await.expect(201).body["id"].as_str().unwrap().to_owned()
    }

    /// The names of what a list answers, in its order.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let reply = self.get(path).await.expect(200);
        let resources = reply.body["Resources"].as_array().unwrap().clone();
        let name = |resource: &Value| resource.get("userName").or(resource.get("displayName")).cloned();
        resources.iter().map(|resource| name(resource).unwrap().as_str().unwrap().to_owned()).collect()
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        if self.body != Value::Null {
            assert_eq!(self.header("content-type"), "application/scim+json");
        }
        self
    }

    /// A SCIM error of this kind (empty for none), whose detail holds the text.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, kind: &str, detail: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(reply.body["status"], status.to_string());
        assert_eq!(reply.body["scimType"].as_str().unwrap_or_default(), kind, "{}", reply.body);
        assert!(reply.body["detail"].as_str().unwrap().contains(detail), "{}", reply.body);
        reply
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
