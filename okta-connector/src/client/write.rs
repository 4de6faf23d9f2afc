//! Writing: a request that changes the organisation, sent once in effect.
//!
//! A write that has the same effect when sent twice is repeated like a read. Any other is repeated only where it is
//! certain that Okta did not carry it out; else its outcome is unknown, and the caller looks before it sends again.
//! Bodies are never logged, and a password is kept nowhere but in the bytes that are sent, which are wiped after.
//! Source: Okta's list of error codes.

use std::fmt;

use bytes::Bytes;
use connector_api::Error;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Answer, Client, Outcome, Sending, given_up, millis};
use crate::{
    auth::Tried,
    error::{Failure, Refusal},
    governor::Lane,
    patience::Patience,
};

/// One thing to write.
#[derive(Debug)]
pub(crate) struct Write {
    pub method: Method,
    pub bucket: &'static str,
    /// Path and query.
    pub target: String,
    pub body: Body,
    /// What is being tried, such as "creating the account".
    pub what: String,
    /// Whether sending it twice is the same as sending it once.
    pub repeatable: bool,
}

/// What a write says.
#[derive(Debug)]
pub(crate) enum Body {
    Nothing,
    Json(Value),
    /// An object that gets `credentials.password.value`.
    WithPassword(Map<String, Value>, SecretString),
}

/// Why a write came to nothing, or may have.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// Okta understood and refused; nothing was changed.
    Refused(Refusal),
    /// Whether it was carried out is not known: why, in words.
    Unknown(String),
    /// Anything else: nothing was changed.
    Other(Error),
}

impl Client {
    /// Writes, and gives what Okta answers; null where it says nothing.
    pub(crate) async fn write(&self, write: &Write) -> Result<Value, WriteFailure> {
        self.write_to_answer(write).await.map(|answer| answer.value)
    }

    /// Writes, and gives what Okta answers with the id of the request.
    pub(crate) async fn write_to_answer(&self, write: &Write) -> Result<Answer<Value>, WriteFailure> {
        let body = write.body.bytes().map_err(WriteFailure::Other)?;
        let sending = Sending {
            method: write.method.clone(),
            bucket: write.bucket,
            lane: Lane::Fan,
            target: &write.target,
            what: &write.what,
            light: false,
            body,
            secret: write.body.secret(),
        };
        let (mut patience, mut tried) = (Patience::new(self.settings.retry_budget), Tried::default());
        let mut may_be_done = false;
        loop {
            let pass = self.pass_for(write.bucket, &write.method, &write.target).await;
            let pass = pass.map_err(|failure| WriteFailure::Other(failure.into_error(&write.what)))?;
            let flight = self.admitted(&sending).await;
            let started = self.clock.now();
            let (outcome, asked_wait) = self.attempt(&sending, &pass, read_answer, flight).await;
            let took = self.clock.now() - started;
            let has_answered = self.state().has_succeeded;
            let (wait, why) = match outcome {
                Outcome::Success(answer) => {
                    self.state().has_succeeded = true;
                    return Ok(answer);
                }
                Outcome::Final(error) => return Err(WriteFailure::Other(error)),
                Outcome::Throttled(_) => (
                    patience.after_throttling(took, asked_wait.unwrap_or_default()),
                    "it is asked too often".to_owned(),
                ),
                Outcome::Refused(refusal) if self.signs_anew(&pass, &refusal, &mut tried) => continue,
                Outcome::Refused(refusal) if refusal.is_busy() => {
                    (patience.after_fault(took, has_answered), refusal.to_string())
                }
                Outcome::Refused(refusal) if refusal.is_transient() || has_answered && refusal.is_foreign_404() => {
                    if !write.repeatable {
                        return Err(WriteFailure::Unknown(refusal.to_string()));
                    }
                    may_be_done = true;
                    (patience.after_fault(took, has_answered), refusal.to_string())
                }
                Outcome::Refused(refusal) => return Err(refused(write, refusal)),
                Outcome::Fault(fault) => {
                    if fault.sent && !write.repeatable {
                        return Err(WriteFailure::Unknown(fault.why));
                    }
                    may_be_done |= fault.sent;
                    (patience.after_fault(took, has_answered), fault.why)
                }
            };
            let Some(wait) = wait else {
                let error = given_up(&write.what, &patience, &why);
                return Err(if may_be_done {
                    WriteFailure::Unknown(error.to_string())
                } else {
                    WriteFailure::Other(error)
                });
            };
            tracing::info!(okta.request = write.what, why, wait_ms = millis(wait), "asking Okta again");
            self.pause(wait).await;
        }
    }
}

impl WriteFailure {
    /// The failure as the caller of the connector sees it; `what` says what was being tried.
    pub(crate) fn into_error(self, what: &str) -> Error {
        match self {
            Self::Refused(refusal) => Failure::Refused(refusal).into_error(what),
            Self::Unknown(why) => Error::new(connector_api::ErrorKind::Unavailable, format!("{what}: {why}"))
                .with_hint("whether it was carried out is not known; run again, and it is looked up first"),
            Self::Other(error) => error,
        }
    }
}

impl Body {
    fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::WithPassword(_, password) => Some(password),
            Self::Nothing | Self::Json(_) => None,
        }
    }

    /// The bytes to send. Those that hold a password are wiped when the last of them is dropped.
    fn bytes(&self) -> Result<Option<Bytes>, Error> {
        let unspeakable = |_| Error::new(connector_api::ErrorKind::Rejected, "the order's values are no JSON");
        match self {
            Self::Nothing => Ok(None),
            Self::Json(value) => serde_json::to_vec(value).map(|bytes| Some(bytes.into())).map_err(unspeakable),
            Self::WithPassword(object, password) => {
                let rest = serde_json::to_vec(object).map_err(unspeakable)?.len();
                // Large enough for every character escaped, so that no half-filled buffer is left behind unwiped.
                let room = rest + 6 * password.expose_secret().len() + 64;
                let mut bytes = Zeroizing::new(Vec::with_capacity(room));
                serde_json::to_writer(&mut *bytes, &Spliced { object, password }).map_err(unspeakable)?;
                Ok(Some(Bytes::from_owner(bytes)))
            }
        }
    }
}

/// An object with the password at its place.
struct Spliced<'a> {
    object: &'a Map<String, Value>,
    password: &'a SecretString,
}

impl Serialize for Spliced<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.object.iter().filter(|(key, _)| *key != "credentials") {
            map.serialize_entry(key, value)?;
        }
        let credentials = match self.object.get("credentials") {
            None => None,
            Some(Value::Object(credentials)) => Some(credentials),
            Some(_) => return Err(S::Error::custom("credentials are an object")),
        };
        map.serialize_entry("credentials", &Credentials { others: credentials, password: self.password })?;
        map.end()
    }
}

struct Credentials<'a> {
    others: Option<&'a Map<String, Value>>,
    password: &'a SecretString,
}

impl Serialize for Credentials<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Password<'a> {
            value: &'a str,
        }
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.others.into_iter().flatten() {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("password", &Password { value: self.password.expose_secret() })?;
        map.end()
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

fn refused(write: &Write, refusal: Refusal) -> WriteFailure {
    let Refusal { code, request_id, error_id, .. } = &refusal;
    tracing::info!(okta.request = %write, okta.request_id = request_id, okta.error_id = error_id, code, "Okta refused a write");
    WriteFailure::Refused(refusal)
}

/// A text that came from elsewhere, without the secret, should it repeat it.
pub(super) fn without(secret: Option<&SecretString>, text: &str) -> String {
    match secret.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()) {
        Some(secret) => text.replace(secret, "***"),
        None => text.to_owned(),
    }
}

fn read_answer(text: &str) -> serde_json::Result<Value> {
    if text.trim().is_empty() { Ok(Value::Null) } else { serde_json::from_str(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_nowhere_but_in_what_is_sent() {
        let object = json!({"profile": {"login": "a"}, "credentials": {"provider": {"type": "OKTA"}}});
        let Value::Object(object) = object else { panic!("an object") };
        let body = Body::WithPassword(object, "s3cret\"\u{1}".into());
        assert!(!format!("{body:?}").contains("s3cret"));
        let sent: Value = serde_json::from_slice(&body.bytes().unwrap().unwrap()).unwrap();
        let credentials = json!({"provider": {"type": "OKTA"}, "password": {"value": "s3cret\"\u{1}"}});
        assert_eq!(sent, json!({"profile": {"login": "a"}, "credentials": credentials}));
        assert_eq!(without(body.secret(), "not s3cret\"\u{1} enough"), "not *** enough");
    }
}
