//! A server that repeats the token wherever it can: no error, report or log ever shows it.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use connector_api::{Connector, Error};

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
    // For the whole program: what a subscriber of one thread is told depends on what the others do.
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.with_writer(|| Log).finish()).unwrap();
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
    let log = String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(log.contains("asking Okta again"), "the log was taken");
    assert!(!log.to_lowercase().contains(&TOKEN.to_lowercase()), "{log}");
}
