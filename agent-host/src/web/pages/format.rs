//! How pages write times, numbers and states.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat};
use minijinja::{Environment, Value};
use url::form_urlencoded;

use super::chart;

/// How the words for what a password reset did begin.
const DONE: [&str; 6] = ["password_", "temporary_", "link_", "unlocked", "approved", "mailed"];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const FORTNIGHT_MS: i64 = 14 * DAY_MS;

pub(super) fn add_to(environment: &mut Environment<'static>, now: impl Fn() -> i64 + Send + Sync + 'static) {
    environment.add_filter("ago", move |ms: i64| ago(ms, now()));
    environment.add_filter("iso", iso);
    environment.add_filter("clock", |ms: i64| stamp(&iso(ms)));
    environment.add_filter("tone", |name: &str| tone(name));
    environment.add_filter("count", |number: Value| count(number.as_i64().unwrap_or_default()));
    environment.add_filter("words", words);
    environment.add_filter("tables", |set: &Value| tables(set));
    environment.add_filter("lasted", lasted);
    environment.add_filter("bytes", bytes);
    environment
        .add_filter("urlencoded", |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    environment.add_filter("stamp", |text: &str| stamp(text));
    environment.add_filter("told", |text: &str| Value::from_safe_string(told(text)));
    environment
        .add_filter("reason", |status: u16| StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()));
    environment.add_filter("segment", |text: &str| segment(text));
}

/// `2026-11-22 09:50:12Z`, for machines.
fn iso(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ")
}

/// The same, or what manifests write, for people: `2026-11-22 09:50:12 UTC`.
fn stamp(text: &str) -> String {
    text.get(..19).map_or_else(|| text.to_owned(), |text| text.replace('T', " ") + " UTC")
}

/// The tables of a set, in the order of the charts.
fn tables(set: &Value) -> Vec<String> {
    let mut names: Vec<String> = set.try_iter().into_iter().flatten().map(|name| name.to_string()).collect();
    names.sort_by(|one, other| (chart::place(one), one).cmp(&(chart::place(other), other)));
    names
}

/// A name of ours as words.
fn words(name: &str) -> String {
    match name {
        "password_set_must_change" => "password set, must be changed".to_owned(),
        name => name.replace(['_', '-'], " "),
    }
}

/// How long since or until, in one unit; far ones as a date.
fn ago(ms: i64, now_ms: i64) -> String {
    let distance = (now_ms - ms).abs();
    let text = match distance {
        0..5_000 => return "now".to_owned(),
        5_000..MINUTE_MS => format!("{} s", distance / 1000),
        MINUTE_MS..HOUR_MS => format!("{} min", distance / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{} h", distance / HOUR_MS),
        DAY_MS..FORTNIGHT_MS => format!("{} d", distance / DAY_MS),
        _ => return iso(ms)[..10].to_owned(),
    };
    if ms <= now_ms { format!("{text} ago") } else { format!("in {text}") }
}

/// `1.4 s`, `3 min 20 s`.
fn lasted(ms: i64) -> String {
    match ms.max(0) {
        ms @ ..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms @ 10_000..MINUTE_MS => format!("{} s", ms / 1000),
        ms @ MINUTE_MS..HOUR_MS => format!("{} min {} s", ms / MINUTE_MS, ms % MINUTE_MS / 1000),
        ms => format!("{} h {} min", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
    }
}

/// `12 345`, with thin spaces that do not break.
fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "−".to_owned() } else { String::new() };
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn bytes(number: i64) -> String {
    match number {
        ..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{} KiB", number / 1024),
        _ => format!("{}.{} MiB", number / 1_048_576, number % 1_048_576 * 10 / 1_048_576),
    }
}

/// How a state looks; its shape and its word tell it too.
fn tone(name: &str) -> &'static str {
    match name {
        "success" | "ok" | "executed" | "done" | "sent" | "healthy" | "active" | "spent" => "good",
        "warning" | "blocked" | "locked" | "slowed" | "queued_mail" | "unknown" | "offered" | "stale" => "warn",
        "problem" | "error" | "errored" | "failed" | "refused" | "rejected" | "failing" => "bad",
        "started" | "running" => "busy",
        _ if DONE.iter().any(|done| name.starts_with(done)) => "good",
        _ => "",
    }
}

/// A message as HTML: what stands in backticks names a thing.
fn told(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let is_whole = text.matches('`').count().is_multiple_of(2);
    let mut is_open = false;
    for letter in text.chars() {
        match letter {
            '`' if is_whole => {
                html.push_str(if is_open { "</code>" } else { "<code>" });
                is_open = !is_open;
            }
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#x27;"),
            letter => html.push(letter),
        }
    }
    html
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short_and_exact() {
        let now = 1_800_000_000_000;
        let cases = [
            (0, "now"),
            (-30_000, "30 s ago"),
            (90_000, "in 1 min"),
            (-3 * HOUR_MS, "3 h ago"),
            (2 * DAY_MS, "in 2 d"),
            (-20 * DAY_MS, "2026-12-26"),
        ];
        for (distance, expected) in cases {
            assert_eq!(ago(now + distance, now), expected);
        }
        assert_eq!([iso(now), stamp(&iso(now))], ["2027-01-15 08:00:00Z", "2027-01-15 08:00:00 UTC"]);
        assert_eq!([words("one_way"), words("password_set_must_change")], ["one way", "password set, must be changed"]);
        assert_eq!([lasted(1_450), lasted(200_000), lasted(2 * HOUR_MS)], ["1.4 s", "3 min 20 s", "2 h 0 min"]);
        assert_eq!(
            [count(999), count(-12_345), count(1_000_000)],
            ["999", "−12\u{202f}345", "1\u{202f}000\u{202f}000"]
        );
        assert_eq!([bytes(10), bytes(2_048), bytes(1_572_864)], ["10 B", "2 KiB", "1.5 MiB"]);
        assert_eq!(segment("a b/c"), "a%20b%2Fc");
        assert_eq!(told("no `<b>` & `c`"), "no <code>&lt;b&gt;</code> &amp; <code>c</code>");
        assert_eq!(told("one ` \"alone\""), "one ` &quot;alone&quot;");
    }
}
