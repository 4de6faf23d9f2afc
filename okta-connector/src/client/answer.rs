//! What is read of an answer before its content: body, limits, the words for what failed.

use std::time::UNIX_EPOCH;

use reqwest::{
    Response,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

use crate::governor::LimitHeaders;

/// Reads a body into `body`, up to `max_bytes`.
pub(super) async fn read_body(mut response: Response, body: &mut Vec<u8>, max_bytes: usize) -> Result<(), String> {
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
    body.reserve(announced.unwrap_or(0).min(max_bytes));
    while let Some(chunk) = response.chunk().await.map_err(|error| in_words(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(format!("the answer is larger than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// A transport error in one line, from the outermost to the innermost cause, without the address.
pub(super) fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let what = if error.is_connect() { "no connection" } else { "the answer was cut off" };
    causes.last().map_or_else(|| what.to_owned(), |last| format!("{what}: {last}"))
}

pub(super) fn limit_headers(headers: &HeaderMap) -> LimitHeaders {
    fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
        headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }
    let date = headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    LimitHeaders {
        limit: number(headers, "x-rate-limit-limit"),
        remaining: number(headers, "x-rate-limit-remaining"),
        reset: number(headers, "x-rate-limit-reset"),
        date: date.and_then(|date| i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()),
        retry_after: number(headers, RETRY_AFTER.as_str()),
    }
}

pub(super) fn text_of(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
