//! The one clock of a sandbox: windows, `Date`, timestamps and the consistency lag all read it.
//! Real time, or a hand-driven clock that a test shares with what it tests.
//! Times are milliseconds since 1970 (UTC); Okta shows whole seconds on users, groups and apps, milliseconds in the log.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where time comes from. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The time of the machine.
    pub fn real() -> Self {
        Self::default()
    }

    /// A clock that stands still at `start_epoch_millis` until it is advanced.
    pub fn manual(start_epoch_millis: i64) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(start_epoch_millis))) }
    }

    /// Moves a manual clock forward; a real one takes no notice.
    pub fn advance(&self, by: Duration) {
        if let Some(now) = &self.manual {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    pub fn now_millis(&self) -> i64 {
        match &self.manual {
            Some(now) => now.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
        }
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `2025-09-29T03:38:44.000Z`: what users, groups and apps carry.
pub(crate) fn push_seconds(out: &mut String, at: i64) {
    push_fields(out, at.div_euclid(1000));
    out.push_str(".000Z");
}

/// `2025-09-29T03:38:44.123Z`: what log events carry.
pub(crate) fn push_millis(out: &mut String, at: i64) {
    push_fields(out, at.div_euclid(1000));
    let _ = write!(out, ".{:03}Z", at.rem_euclid(1000));
}

pub(crate) fn seconds(at: i64) -> String {
    let mut out = String::with_capacity(24);
    push_seconds(&mut out, at);
    out
}

/// `Mon, 29 Sep 2025 03:38:47 GMT`.
pub(crate) fn http_date(at: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (weekday, month) = (DAYS[usize_of(days.rem_euclid(7))], MONTHS[usize_of(month - 1)]);
    format!("{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Reads `2025-09-29`, `2025-09-29T03:38:44Z` and the form with a fraction.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let date = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?)? * 86_400_000;
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    if text.len() == 10 {
        return Some(date);
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = hour < 24 && minute < 60 && second < 61;
    let rest = text.get(19..)?.strip_suffix('Z').or_else(|| text.get(19..)?.strip_suffix("+00:00"))?;
    let fraction = match rest.strip_prefix('.') {
        Some(digits) => format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    in_range.then_some(date + ((hour * 60 + minute) * 60 + second) * 1000 + fraction)
}

/// Digits by hand: a page of 200 users would otherwise spend its time in the formatter.
fn push_fields(out: &mut String, seconds: i64) {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    push_two(out, year / 100);
    push_two(out, year % 100);
    for (mark, field) in [('-', month), ('-', day), ('T', of_day / 3600), (':', of_day / 60 % 60), (':', of_day % 60)] {
        out.push(mark);
        push_two(out, field);
    }
}

fn push_two(out: &mut String, value: i64) {
    for digit in [value / 10 % 10, value % 10] {
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

fn usize_of(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// Days since 1970 to year, month, day (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_reads_the_same_moment() {
        for at in [0, 951_782_400_000, 1_759_117_127_000, 4_102_444_799_000] {
            assert_eq!(parse(&seconds(at)), Some(at));
        }
        assert_eq!(seconds(1_759_117_127_000), "2025-09-29T03:38:47.000Z");
        assert_eq!(http_date(1_759_117_127_000), "Mon, 29 Sep 2025 03:38:47 GMT");
        assert_eq!(parse("2025-09-29T03:38:47Z"), Some(1_759_117_127_000));
        assert_eq!(parse("2025-09-29T03:38:47.1Z"), Some(1_759_117_127_100));
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(1000);
        let shared = clock.clone();
        clock.advance(Duration::from_secs(2));
        assert_eq!(shared.now_millis(), 3000);
    }
}
