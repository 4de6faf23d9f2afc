//! When a job is due: a cron expression in a time zone. Pure: whoever asks says what time it is.
//!
//! Five fields, or six with seconds in front. Where clocks go forward, a time that is left out comes right after the gap;
//! where they go back, a fixed time comes once, the first time. Times are milliseconds since 1970.

use chrono::DateTime;
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// How far before the time that the expression itself gives as the previous one the search begins, in milliseconds:
/// longer than any change of daylight saving, else longer than a day, else as far as was asked for.
const LOOK_BACK_MS: [i64; 2] = [3 * HOUR_MS, 26 * HOUR_MS];
const HOUR_MS: i64 = 3_600_000;

/// When a job is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    expression: String,
}

impl Schedule {
    /// Reads a cron expression.
    ///
    /// # Errors
    /// What is wrong with it, in words that go on after the expression's name.
    pub fn parse(expression: &str, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| {
            let reason = error.to_string();
            format!("is no cron expression: {}", reason.trim_end_matches('.'))
        })?;
        let schedule = Self { cron, zone, expression: expression.to_owned() };
        match schedule.next(0) {
            Some(_) => Ok(schedule),
            None => Err("names a time that never comes".to_owned()),
        }
    }

    /// The first time after this one.
    pub fn next(&self, after_ms: i64) -> Option<i64> {
        let after = DateTime::from_timestamp_millis(after_ms)?.with_timezone(&self.zone);
        Some(self.cron.find_next_occurrence(&after, false).ok()?.timestamp_millis())
    }

    /// The last of the times that [`next`](Self::next) gives which is after `after_ms` and not after `until_ms`.
    pub fn latest(&self, after_ms: i64, until_ms: i64) -> Option<i64> {
        let until = DateTime::from_timestamp_millis(until_ms)?.with_timezone(&self.zone);
        let previous = self.cron.find_previous_occurrence(&until, true).ok()?.timestamp_millis();
        // Backwards the expression may give a repeated hour's second time: the times that count are those forwards.
        let starts = LOOK_BACK_MS.map(|before| after_ms.max(previous - before)).into_iter().chain([after_ms]);
        for start in starts {
            let times = std::iter::successors(self.next(start), |time| self.next(*time));
            if let Some(latest) = times.take_while(|time| *time <= until_ms).last() {
                return Some(latest);
            }
        }
        None
    }

    /// The time in the schedule's zone, as people write it.
    pub fn shown(&self, time_ms: i64) -> String {
        let time = DateTime::from_timestamp_millis(time_ms).unwrap_or_default().with_timezone(&self.zone);
        time.format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// The expression and its zone, by which one schedule is told from another.
    pub fn text(&self) -> String {
        format!("{} {}", self.expression, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARIS: Tz = Tz::Europe__Paris;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    /// The first times after `after`.
    fn times(expression: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let times = std::iter::successors(schedule.next(ms(after)), |time| schedule.next(*time));
        times.take(count).map(|time| schedule.shown(time)).collect()
    }

    #[test]
    fn five_and_six_fields_are_understood() {
        let after = "2026-03-01T00:00:00Z";
        for (expression, expected) in [
            ("*/15 * * * *", "2026-03-01 00:15:00 UTC"),
            ("30 0 3 * * *", "2026-03-01 03:00:30 UTC"),
            ("0 3 L * *", "2026-03-31 03:00:00 UTC"),
            ("0 3 * * MON#2", "2026-03-09 03:00:00 UTC"),
            ("@daily", "2026-03-02 00:00:00 UTC"),
        ] {
            assert_eq!(times(expression, Tz::UTC, after, 1), [expected], "{expression}");
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for expression in ["", "61 * * * *", "* * * *", "0 0 30 2 *", "every day", "* * * * * * *"] {
            assert!(Schedule::parse(expression, Tz::UTC).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_time_in_the_gap_comes_right_after_it_and_one_in_the_overlap_once() {
        let spring = times("30 2 * * *", PARIS, "2026-03-28T12:00:00+01:00", 2);
        assert_eq!(spring, ["2026-03-29 03:00:00 CEST", "2026-03-30 02:30:00 CEST"]);
        let autumn = times("30 2 * * *", PARIS, "2026-10-24T12:00:00+02:00", 2);
        assert_eq!(autumn, ["2026-10-25 02:30:00 CEST", "2026-10-26 02:30:00 CET"]);
    }

    #[test]
    fn the_latest_time_in_an_overlap_is_the_one_that_came_forwards() {
        let schedule = Schedule::parse("30 2 * * *", PARIS).unwrap();
        let first = ms("2026-10-25T02:30:00+02:00");
        for until in ["2026-10-25T02:45:00+02:00", "2026-10-25T02:45:00+01:00", "2026-10-25T09:00:00+01:00"] {
            assert_eq!(schedule.latest(first - 1, ms(until)), Some(first), "{until}");
            assert_eq!(schedule.latest(first, ms(until)), None, "{until}");
        }
    }

    proptest! {
        #[test]
        fn the_latest_time_is_the_last_of_the_next_ones(
            expression in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "0 */2 * * *", "15 1,2,3 * * SUN", "0 12 28-31 * *"]),
            zone in prop::sample::select(vec![Tz::UTC, PARIS, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Kathmandu]),
            // Around the changes of daylight saving of a year, and in between.
            after in 1_767_225_600_000_i64..1_798_761_600_000,
            length in 1_i64..3 * 24 * HOUR_MS,
        ) {
            let schedule = Schedule::parse(expression, zone).unwrap();
            let until = after + length;
            let times = std::iter::successors(schedule.next(after), |time| schedule.next(*time));
            let expected = times.take_while(|time| *time <= until).last();
            prop_assert_eq!(schedule.latest(after, until), expected);
            prop_assert!(schedule.next(until).unwrap() > until);
        }
    }
}
