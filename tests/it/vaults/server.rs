//! A server on loopback that answers as a function says and notes what it was asked; plain, TLS or with client
//! certificates.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier},
};
use url::form_urlencoded;

use super::authority::Authority;

/// What the server was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What it answers.
pub(super) enum Told {
    Text(u16, String),
    /// To where.
    Redirect(String),
    Nothing,
}

type Answer = dyn Fn(&Asked) -> Told + Send + Sync;

pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: Runtime,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The body as a form, or the query.
    pub(super) fn form(text: &str) -> BTreeMap<String, String> {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }
}

impl Told {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::Text(status, value.to_string())
    }
}

impl Server {
    pub(super) fn plain(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// With a certificate of `authority`; where `clients` is given, it lets in those alone who show one of its.
    pub(super) fn tls(
        authority: &Authority,
        clients: Option<&Authority>,
        answer: impl Fn(&Asked) -> Told + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let config = config.expect("the server works");
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate()).expect("the server works");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.expect("the server works"))
            }
        };
        let own = authority.issue("server");
        let config = config.with_single_cert(vec![own.certificate.clone()], own.private()).expect("the server works");
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(answer))
    }

    /// All it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the server works").clone()
    }

    fn start(tls: Option<TlsAcceptor>, answer: Arc<Answer>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the server works");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("the server works");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("the server works"));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let notes = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer, notes) = (tls.clone(), Arc::clone(&answer), Arc::clone(&notes));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, notes).await,
                        // A client that does not trust us, or that we do not trust, goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, notes).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, asked, _runtime: runtime }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: Arc<Answer>,
    notes: Arc<Mutex<Vec<Asked>>>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
        async move {
            let asked = read(request).await;
            notes.lock().expect("the server works").push(asked.clone());
            let (status, location, text) = match answer(&asked) {
                Told::Text(status, text) => (status, None, text),
                Told::Redirect(to) => (307, Some(to), String::new()),
                Told::Nothing => pending().await,
            };
            let mut response = Response::builder().status(status).header("Content-Type", "application/json");
            if let Some(location) = location {
                response = response.header("Location", location);
            }
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from(text))).expect("the server works"))
        }
    });
    // A client may leave before the answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: Request<Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: Asked::form(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
