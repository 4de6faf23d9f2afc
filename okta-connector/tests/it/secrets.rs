//! A server that repeats the token wherever it can: no error, report or log ever shows it.

use std::{
    io::{self, Write},
    sync::{Mutex, Once, PoisonError},
};

use connector_api::{ConnectionSettings, Connector, Error};
use okta_connector::OktaConnector;
use okta_sandbox::KeyPair;

use crate::{
    TABLES, export_all,
    scripted::{Answer, Scripted},
    tables,
};

const TOKEN: &str = "00Tok-EN_ofAnAdministrator.7x";

/// What was logged, by all tests of this program.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOG`].
struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the log of the whole program: what a subscriber of one thread is told depends on what the others do.
fn take_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        tracing::subscriber::set_global_default(subscriber.with_writer(|| Log).finish())
            .expect("nobody else takes the log");
    });
}

fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// All answers with the token in every place that is read.
fn answers() -> Vec<Answer> {
    let body = format!(
        r#"{{"errorCode":"E0 {TOKEN}","errorSummary":"Invalid {TOKEN}\nSSWS {TOKEN}","errorId":"{TOKEN}","errorCauses":[{{"errorSummary":"{TOKEN}"}}]}}"#
    );
    let mut answers: Vec<Answer> = [400, 401, 403, 404, 409, 429, 500, 503]
        .map(|status| Answer::json(status, body.as_str()).with("x-okta-request-id", &format!("req {TOKEN}")))
        .into();
    answers
        .push(Answer::json(302, "").with("location", &format!("http://{}.example/{TOKEN}", TOKEN.replace('_', "-"))));
    answers.push(Answer::json(302, "").with("location", &format!("http://{TOKEN}.example/{TOKEN}")));
    answers.push(Answer::json(200, format!("<p>{TOKEN}</p>")));
    answers.push(Answer::json(200, format!(r#"{{"id":"{TOKEN}","{TOKEN}":1}}"#)));
    answers.push(Answer::json(200, "[]").with("link", &format!("</api/v1/{TOKEN}?after={TOKEN}>; rel=\"next\"")));
    answers
}

fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.hint());
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!("{inner} {inner:?}"));
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn no_error_report_or_log_shows_the_token() {
    take_log();
    for answer in answers() {
        let script = answer.clone();
        let server = Scripted::start(move |_, _| script.clone()).await;
        let connector = server.connector(TOKEN, &[("RetryBudgetSeconds", "5")]);
        let tables = tables(&TABLES);
        let mut told = Vec::new();
        told.push(match connector.test_connection(&tables).await {
            Ok(report) => format!("{report:?}"),
            Err(error) => shown(&error),
        });
        told.extend(export_all(&connector, &tables).await.err().as_ref().map(shown));
        told.extend(connector.schema().await.err().as_ref().map(shown));
        told.extend(connector.plan(&tables).await.err().as_ref().map(shown));
        told.push(format!("{:?}", connector.traffic()));
        for text in &told {
            assert!(!text.to_lowercase().contains(&TOKEN.to_lowercase()), "{answer:?}: {text}");
        }
    }
    let log = log();
    assert!(log.contains("asking Okta again"), "the log was taken");
    assert!(!log.to_lowercase().contains(&TOKEN.to_lowercase()), "{log}");
}

/// Everything that a request sent: its head, which holds token and proof, and what a proof or a token is made of.
fn secrets_of(head: &str) -> Vec<String> {
    let sent = head.lines().filter_map(|line| line.split_once(": "));
    let secret = sent.filter(|(name, _)| matches!(*name, "authorization" | "dpop"));
    secret.filter_map(|(_, value)| value.split(' ').next_back().map(str::to_owned)).collect()
}

#[tokio::test]
async fn no_error_report_or_log_shows_what_an_app_signs_in_with() {
    take_log();
    let key = KeyPair::rsa("key-1");
    for answer in answers() {
        let script = answer.clone();
        let server = Scripted::start(move |target, _| {
            if target == "/oauth2/v1/token" {
                let token = format!(r#"{{"token_type":"DPoP","expires_in":3600,"access_token":"{TOKEN}"}}"#);
                Answer::json(200, token).with("dpop-nonce", "nonce-1")
            } else {
                script.clone()
            }
        })
        .await;
        let settings = ConnectionSettings::new("OktaExport".parse().unwrap())
            .with("Server", server.url.as_str())
            .with("ClientId", "0oa1agent")
            .with("PrivateKey", key.private_pem())
            .with("RetryBudgetSeconds", "5");
        let connector = OktaConnector::open_with_clock(&settings, server.shared_clock()).unwrap();
        let tables = tables(&TABLES);
        let mut told = vec![format!("{settings:?}")];
        // First what signs in, so that there is a token to be repeated.
        told.extend(export_all(&connector, &tables).await.err().as_ref().map(shown));
        told.push(match connector.test_connection(&tables).await {
            Ok(report) => format!("{report:?}"),
            Err(error) => shown(&error),
        });
        told.push(format!("{:?}", connector.traffic()));
        let mut secrets: Vec<String> = server.heads().iter().flat_map(|head| secrets_of(head)).collect();
        assert!(secrets.iter().any(|secret| secret == TOKEN) && secrets.len() > 2, "{secrets:?}");
        secrets.extend(key.private_pem().lines().filter(|line| !line.contains("---")).map(str::to_owned));
        for text in &told {
            let found = secrets.iter().find(|secret| text.to_lowercase().contains(&secret.to_lowercase()));
            assert_eq!(found, None, "{answer:?}: {text}");
        }
        let log = log();
        assert!(log.contains("Okta issued an access token"), "the log was taken");
        assert_eq!(secrets.iter().find(|secret| log.contains(*secret)), None, "{answer:?}: {log}");
    }
    // A token endpoint that repeats the assertion and the proof.
    let server = Scripted::start(|_, _| {
        let jwt = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiIwb2ExIn0.c2lnbmF0dXJl";
        Answer::json(400, format!(r#"{{"error":"invalid_client","error_description":"bad assertion {jwt}"}}"#))
    })
    .await;
    let settings = ConnectionSettings::new("OktaExport".parse().unwrap())
        .with("Server", server.url.as_str())
        .with("ClientId", "0oa1agent")
        .with("PrivateKey", key.private_pem());
    let connector = OktaConnector::open_with_clock(&settings, server.shared_clock()).unwrap();
    let error = export_all(&connector, &tables(&TABLES)).await.unwrap_err();
    assert!(error.to_string().contains("bad assertion ***") && !shown(&error).contains("eyJ"), "{}", shown(&error));
}
