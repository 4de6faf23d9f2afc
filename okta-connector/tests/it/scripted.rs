//! A server whose every answer the test gives, and which remembers what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use okta_connector::OktaConnector;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{START, SharedClock, settings};

/// One answer; `content-length` is added.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A server on loopback; it ends when dropped.
pub(crate) struct Scripted {
    pub url: String,
    pub clock: okta_sandbox::Clock,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Scripted {
    /// Answers each request by its path and query, and how many came before it.
    pub(crate) async fn start(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let task = tokio::spawn({
            let heads = Arc::clone(&heads);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    serve(stream, &heads, &answer).await;
                }
            }
        });
        Self { url, clock: okta_sandbox::Clock::manual(START), heads, task }
    }

    pub(crate) fn connector(&self, token: &str, more: &[(&str, &str)]) -> OktaConnector {
        let settings = settings(&self.url, token, more);
        OktaConnector::open_with_clock(&settings, self.shared_clock()).expect("the settings are good")
    }

    pub(crate) fn shared_clock(&self) -> Arc<SharedClock> {
        Arc::new(SharedClock { clock: self.clock.clone(), tick: std::time::Duration::ZERO })
    }

    /// The heads of the requests so far: request line and headers.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request, answers it and closes. A caller that goes away meanwhile is no failure of the test.
async fn serve(mut stream: TcpStream, heads: &Mutex<Vec<String>>, answer: &impl Fn(&str, usize) -> Answer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let before = {
        let mut heads = heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.push(head);
        heads.len() - 1
    };
    let Answer { status, headers, body } = answer(&target, before);
    let mut text = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(&body);
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
