//! From an endpoint's answer to bytes on the wire: status, the headers Okta sends, Link lines, faults of the body.
//! Okta: `self` and `next` are two header lines; a 429 has no Retry-After; header names and values as recorded.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, SET_COOKIE,
};

use crate::clock::http_date;
use crate::error::ApiError;
use crate::faults::FaultAction;
use crate::ids::Dice;
use crate::limits::Standing;
use crate::payload::{Payload, gzip};
use crate::wire::{Answer, Call, Outcome};

/// An answer with everything its headers need.
pub(crate) struct Ready {
    pub call: Call,
    pub answer: Answer,
    pub standing: Option<Standing>,
    pub base: String,
    /// The server's clock, skew included.
    pub at: i64,
    pub skew: i64,
    pub number: u64,
}

const FIXED: [(&str, &str); 13] = [
    ("server", "nginx"),
    ("accept-ch", "Sec-CH-UA-Platform-Version"),
    ("cache-control", "no-cache, no-store"),
    ("content-security-policy", "frame-ancestors 'self'"),
    ("expires", "0"),
    ("p3p", "CP=\"HONK\""),
    ("pragma", "no-cache"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("strict-transport-security", "max-age=315360000; includeSubDomains"),
    ("vary", "Accept-Encoding"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "0"),
    ("set-cookie", "sid=\"\";Version=1;Path=/;Max-Age=0"),
];

/// An error as an answer with an id of its own.
pub(crate) fn error(error: &ApiError, number: u64) -> Answer {
    let mut answer = Answer::json(error.status, error.body(&Dice::new(number).word(22)));
    answer.headers.clone_from(&error.headers);
    answer
}

/// The outcome of a fault that keeps the request from its endpoint.
pub(crate) fn instead(fault: &FaultAction, standing: Standing) -> Option<(Outcome, Standing)> {
    let outcome = match fault {
        FaultAction::RateLimit429 => {
            return Some((Err(ApiError::coded("E0000047")), Standing { remaining: 0, ..standing }));
        }
        FaultAction::Concurrency429 => {
            return Some((Err(ApiError::coded("E0000047")), Standing { limit: 0, remaining: 0, ..standing }));
        }
        FaultAction::Status { status, body, .. } => {
            Ok(plain(*status, body, if body.starts_with('<') { "text/html" } else { "application/json" }))
        }
        FaultAction::ResetConnection => Ok(Answer::empty(204)),
        FaultAction::Html(status) => {
            let page =
                format!("<html>\r\n<head><title>{status}</title></head>\r\n<body><h1>{status}</h1></body>\r\n</html>");
            Ok(plain(*status, &page, "text/html"))
        }
        FaultAction::Error { status, code } => Err(ApiError::coded(code).with_status(*status)),
        FaultAction::OnlyWhenLimitOver(_) => Err(ApiError::coded("E0000009")),
        FaultAction::NotJson(text) => Ok(Answer::ok(text.as_str())),
        FaultAction::Redirect(to) => {
            let mut answer = Answer::empty(302);
            answer.headers.push(("location", to.clone()));
            Ok(answer)
        }
        FaultAction::EmptyList => Ok(Answer::ok("[]")),
        FaultAction::FieldsRefused => Err(ApiError::validation("fields", "fields: The value is not supported")),
        _ => return None,
    };
    Some((outcome, standing))
}

/// The response, with what is left of the fault applied to it.
pub(crate) fn respond(mut ready: Ready, fault: Option<&FaultAction>, zip: bool) -> Response<Payload> {
    if let (Some(FaultAction::EmptyPageWithNext), Some(page)) = (fault, &mut ready.answer.page) {
        ready.answer.body = b"[]".to_vec();
        page.next = Some(page.start);
    }
    let mut headers = headers(&ready);
    for link in links(&ready, fault) {
        headers.append(LINK, value(&link));
    }
    if let Some(FaultAction::Status { headers: extra, .. }) = fault {
        for (name, text) in extra {
            if let Ok(name) = HeaderName::try_from(name.as_str()) {
                headers.append(name, value(text));
            }
        }
    }
    if matches!(fault, Some(FaultAction::SetCookie)) {
        headers.append(SET_COOKIE, HeaderValue::from_static("JSESSIONID=5A4DB0X; Path=/; Secure; HttpOnly"));
    }
    let status = ready.answer.status;
    let payload = payload(ready.answer.body.into(), fault, zip, &mut headers);
    let mut response = Response::new(payload);
    *response.status_mut() = status.try_into().unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

fn headers(ready: &Ready) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(28);
    headers.insert("date", value(&http_date(ready.at)));
    for (name, text) in FIXED {
        headers.append(name, HeaderValue::from_static(text));
    }
    if !ready.answer.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let mut dice = Dice::new(ready.number ^ 0x0a17);
    headers.insert("x-okta-request-id", value(&format!("{:016x}{:016x}", dice.roll(), dice.roll())));
    if let Some(standing) = ready.standing {
        let reset = (standing.reset + ready.skew + 999).div_euclid(1000);
        headers.insert("x-rate-limit-limit", standing.limit.into());
        headers.insert("x-rate-limit-remaining", standing.remaining.into());
        headers.insert("x-rate-limit-reset", reset.into());
    }
    for (name, text) in &ready.answer.headers {
        headers.insert(HeaderName::from_static(name), value(text));
    }
    headers
}

/// The Link lines: self, and next as the fault wants it.
fn links(ready: &Ready, fault: Option<&FaultAction>) -> Vec<String> {
    let Some(page) = &ready.answer.page else { return Vec::new() };
    let (call, base) = (&ready.call, ready.base.as_str());
    let own = call.link(base, page, call.parameter("after"));
    let mut links = vec![format!("<{own}>; rel=\"self\"")];
    let Some(row) = page.next else { return links };
    let salt = if matches!(fault, Some(FaultAction::EmptyPageWithNext)) { 1 + (ready.number % 60) as u8 } else { 0 };
    let row = if matches!(fault, Some(FaultAction::ShiftPage)) { row.saturating_sub(1) } else { row };
    let next = call.link(base, page, Some(&page.cursor(row, salt)));
    let next = match fault {
        Some(FaultAction::StuckCursor | FaultAction::RepeatPage) => own,
        Some(FaultAction::NextHost(host)) => {
            let host = if host.contains("://") { host.clone() } else { format!("https://{host}") };
            next.replacen(base, &host, 1)
        }
        Some(FaultAction::NextLosesParameter(name)) => without(&next, name),
        _ => next,
    };
    links.push(format!("<{next}>; rel=\"next\""));
    links
}

fn without(link: &str, parameter: &str) -> String {
    let Some((path, query)) = link.split_once('?') else { return link.to_owned() };
    let mut out = path.to_owned();
    let kept = query.split('&').filter(|pair| pair.split('=').next() != Some(parameter));
    for (n, pair) in kept.enumerate() {
        let _ = write!(out, "{}{pair}", if n == 0 { '?' } else { '&' });
    }
    out
}

fn payload(body: Bytes, fault: Option<&FaultAction>, zip: bool, headers: &mut HeaderMap) -> Payload {
    match fault {
        Some(FaultAction::CutBody { after_bytes }) => {
            headers.insert(CONTENT_LENGTH, body.len().into());
            Payload::broken(body.slice(..body.len().saturating_sub(1).min(*after_bytes)))
        }
        Some(FaultAction::TruncatedChunked) => Payload::broken(body.slice(..body.len() / 2)),
        Some(FaultAction::TruncatedGzip) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let zipped = gzip(&body);
            Payload::whole(zipped.slice(..zipped.len() / 2))
        }
        _ if zip && body.len() > 1000 => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Payload::whole(gzip(&body))
        }
        _ => Payload::whole(body),
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// What a fault without an endpoint answers.
fn plain(status: u16, body: &str, content_type: &'static str) -> Answer {
    let mut answer = Answer::json(status, body);
    answer.headers.push(("content-type", content_type.to_owned()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_can_be_lost() {
        assert_eq!(without("http://o/g?after=1&limit=2&expand=stats", "expand"), "http://o/g?after=1&limit=2");
        assert_eq!(without("http://o/g?after=1&limit=2", "after"), "http://o/g?limit=2");
    }
}
