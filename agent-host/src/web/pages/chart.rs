//! Counts over time as small charts, one a table, for counts of tables differ by magnitudes. Coordinates are worked out
//! here; colours are the style sheet's.

use std::fmt::Write;

use serde::Serialize;

use crate::web::views::exports::PastSetView;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 96.0;
/// Room for a dot at the edges, and for the numbers above and below.
const MARGIN: f64 = 6.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 14.0;
const COLOURS: [&str; 5] = ["one", "two", "three", "four", "five"];
/// Tables in the order in which people think of them; others follow by name.
const ORDER: [&str; 5] = ["users", "groups", "apps", "groupsusers", "groupsapps"];

/// The chart of a table.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    table: String,
    colour: &'static str,
    /// `points` of an SVG polyline.
    points: String,
    /// Where the last point is.
    end: (f64, f64),
    least: i64,
    most: i64,
    last: i64,
    /// When the first and the last set were put in place, in milliseconds since 1970.
    from_ms: i64,
    until_ms: i64,
    /// How many sets there are.
    sets: usize,
}

/// A chart for each table of these sets, the newest of which is the first.
pub(super) fn of(sets: &[PastSetView]) -> Vec<Chart> {
    let mut tables: Vec<&String> = sets.iter().flat_map(|set| set.records.keys()).collect();
    tables.sort_by_key(|name| (place(name), *name));
    tables.dedup();
    let chart = |(place, table): (usize, &String)| {
        let counts = sets.iter().rev().filter_map(|set| Some((set.finished_ms, *set.records.get(table)?)));
        draw(table, COLOURS[place % COLOURS.len()], &counts.collect::<Vec<_>>())
    };
    tables.into_iter().enumerate().filter_map(chart).collect()
}

/// Where a table stands among others.
pub(super) fn place(table: &str) -> usize {
    ORDER.iter().position(|known| *known == table).unwrap_or(ORDER.len())
}

#[expect(clippy::cast_precision_loss, reason = "a picture is as exact as its pixels")]
fn draw(table: &str, colour: &'static str, counts: &[(i64, i64)]) -> Option<Chart> {
    let (&(from_ms, _), &(until_ms, last)) = (counts.first()?, counts.last()?);
    let least = counts.iter().map(|(_, count)| *count).min()?;
    let most = counts.iter().map(|(_, count)| *count).max()?;
    let place =
        |part: i64, whole: i64, room: f64| if whole == 0 { room / 2.0 } else { part as f64 / whole as f64 * room };
    let point = |&(at_ms, count): &(i64, i64)| {
        // One set alone is now, at the right.
        let x = if from_ms == until_ms {
            WIDTH - 2.0 * MARGIN
        } else {
            place(at_ms - from_ms, until_ms - from_ms, WIDTH - 2.0 * MARGIN)
        };
        let y = place(count - least, most - least, HEIGHT - TOP - BOTTOM);
        (((MARGIN + x) * 10.0).round() / 10.0, ((HEIGHT - BOTTOM - y) * 10.0).round() / 10.0)
    };
    let points = counts.iter().map(point).fold(String::new(), |mut text, (x, y)| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{x},{y} ");
        text
    });
    let end = point(counts.last()?);
    let points = points.trim_end().to_owned();
    Some(Chart {
        table: table.to_owned(),
        colour,
        points,
        end,
        least,
        most,
        last,
        from_ms,
        until_ms,
        sets: counts.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(finished_ms: i64, records: &[(&str, i64)]) -> PastSetView {
        let records = records.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        PastSetView {
            set: 1,
            finished_ms,
            duration_ms: 1,
            requests: 1,
            throttled: 0,
            records,
            rejected: Default::default(),
            changes: Default::default(),
        }
    }

    #[test]
    fn counts_become_points_from_left_to_right_and_low_to_high() {
        let sets = [set(300, &[("users", 30), ("groups", 5)]), set(200, &[("users", 10)]), set(100, &[("users", 20)])];
        let charts = of(&sets);
        assert_eq!(charts.iter().map(|chart| chart.table.as_str()).collect::<Vec<_>>(), ["users", "groups"]);
        assert_eq!(charts[0].points, "6,50 160,82 314,18");
        assert_eq!((charts[0].least, charts[0].most, charts[0].last, charts[0].end), (10, 30, 30, (314.0, 18.0)));
        assert_eq!((charts[1].points.as_str(), charts[1].sets), ("314,50", 1));
        assert!(of(&[]).is_empty());
    }
}
