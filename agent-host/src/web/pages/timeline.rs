//! The steps of a run along its time: from when to when each was at work, in per cent of the run. Colours are the style
//! sheet's, words the template's.
//!
//! Rule: a bar tells what happened within this run. What was done before it, by the run that it repairs, is cut off there,
//! and what was not begun has none.

use serde::Serialize;

use crate::web::views::runs::{RunDetails, StepView};

/// What can be seen on a phone still, in per cent.
const NARROWEST: f64 = 0.8;

/// A run that was taken up, up to its end or to now.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    length_ms: i64,
    /// In the order of the job.
    rows: Vec<Row>,
}

/// A step.
#[derive(Debug, Serialize)]
struct Row {
    step: String,
    /// None for a step that has not come up yet.
    state: Option<&'static str>,
    message: String,
    /// Whether it ended before the run began.
    is_before: bool,
    bar: Option<Bar>,
}

/// When a step was at work, since the run began.
#[derive(Debug, Serialize)]
struct Bar {
    from_ms: i64,
    until_ms: i64,
    /// Whether it is at work still.
    is_open: bool,
    /// In per cent of the run, so that a picture of any width holds it.
    x: f64,
    width: f64,
}

/// The timeline of a run; none before it is taken up. `steps` are those of its job, where that is known.
pub(super) fn of<'a>(run: &RunDetails, steps: impl IntoIterator<Item = &'a str>, now_ms: i64) -> Option<Timeline> {
    let began_ms = run.run.began_ms?;
    let length_ms = (run.run.ended_ms.unwrap_or(now_ms) - began_ms).max(0);
    let mut rows: Vec<Row> = run.steps.iter().map(|step| row(step, began_ms, length_ms)).collect();
    if !run.run.is_over {
        let to_come = steps.into_iter().filter(|name| !run.steps.iter().any(|step| step.step == *name));
        rows.extend(to_come.map(|name| Row {
            step: name.to_owned(),
            state: None,
            message: String::new(),
            is_before: false,
            bar: None,
        }));
    }
    Some(Timeline { length_ms, rows })
}

fn row(step: &StepView, began_ms: i64, length_ms: i64) -> Row {
    let is_before = step.ended_ms.is_some_and(|ended_ms| ended_ms < began_ms);
    // A step that was left out, because one before it has no output, is noted as cancelled.
    let was_begun = step.state != "cancelled";
    let bar = (was_begun && !is_before).then(|| {
        // Clocks of several agents differ: nothing lies outside the run.
        let within = |at_ms: i64| (at_ms - began_ms).clamp(0, length_ms);
        draw(within(step.began_ms), step.ended_ms.map(within), length_ms)
    });
    Row { step: step.step.clone(), state: Some(step.state), message: step.message.clone(), is_before, bar }
}

#[expect(clippy::cast_precision_loss, reason = "a picture is as exact as its pixels")]
fn draw(from_ms: i64, ended_ms: Option<i64>, length_ms: i64) -> Bar {
    let until_ms = ended_ms.unwrap_or(length_ms).max(from_ms);
    let share = |ms: i64| if length_ms == 0 { 0.0 } else { ms as f64 / length_ms as f64 * 100.0 };
    let rounded = |share: f64| (share * 100.0).round() / 100.0;
    let width = if length_ms == 0 { 100.0 } else { share(until_ms - from_ms).max(NARROWEST) };
    let x = share(from_ms).min(100.0 - width);
    Bar { from_ms, until_ms, is_open: ended_ms.is_none(), x: rounded(x), width: rounded(width) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::views::runs::RunView;

    fn run(ended_ms: Option<i64>, steps: &[(&str, &'static str, i64, Option<i64>)]) -> RunDetails {
        let step = |&(name, state, began_ms, ended_ms): &(&str, &'static str, i64, Option<i64>)| StepView {
            step: name.to_owned(),
            state,
            began_ms,
            ended_ms,
            message: String::new(),
        };
        let run = RunView {
            run: 7,
            job: "Nightly".to_owned(),
            state: if ended_ms.is_some() { "success" } else { "started" },
            is_over: ended_ms.is_some(),
            cause: "person".to_owned(),
            due_ms: None,
            queued_ms: 500,
            began_ms: Some(1_000),
            ended_ms,
            attempts: 1,
            repairs: None,
            cancel_ms: None,
            message: String::new(),
        };
        RunDetails { run, steps: steps.iter().map(step).collect() }
    }

    fn bars(timeline: &Timeline) -> Vec<(&str, Option<(f64, f64)>)> {
        timeline.rows.iter().map(|row| (row.step.as_str(), row.bar.as_ref().map(|bar| (bar.x, bar.width)))).collect()
    }

    #[test]
    fn bars_lie_where_their_steps_lay_in_the_run() {
        let steps = [
            ("export", "success", 1_000, Some(2_000)),
            ("fulfill", "error", 2_000, Some(4_000)),
            ("short", "success", 5_000, Some(5_000)),
        ];
        let timeline = of(&run(Some(5_000), &steps), ["export", "gone from the settings"], 9_000).unwrap();
        assert_eq!(timeline.length_ms, 4_000);
        let expected =
            [("export", Some((0.0, 25.0))), ("fulfill", Some((25.0, 50.0))), ("short", Some((99.2, NARROWEST)))];
        assert_eq!(bars(&timeline), expected);
    }

    #[test]
    fn what_is_at_work_reaches_to_now_and_what_is_to_come_has_no_bar() {
        let steps = [("export", "success", 1_000, Some(2_000)), ("fulfill", "started", 3_000, None)];
        let timeline = of(&run(None, &steps), ["export", "fulfill", "import"], 5_000).unwrap();
        let expected = [("export", Some((0.0, 25.0))), ("fulfill", Some((50.0, 50.0))), ("import", None)];
        assert_eq!(bars(&timeline), expected);
        assert!(timeline.rows[1].bar.as_ref().unwrap().is_open && timeline.rows[2].state.is_none());
    }

    #[test]
    fn what_lies_outside_the_run_is_cut_off_and_what_was_not_begun_has_no_bar() {
        let steps = [
            ("of the repaired run", "success", 100, Some(700)),
            ("over its edges", "success", 700, Some(9_000)),
            ("left out", "cancelled", 1_500, Some(1_500)),
        ];
        let timeline = of(&run(Some(2_000), &steps), [], 2_000).unwrap();
        let expected = [("of the repaired run", None), ("over its edges", Some((0.0, 100.0))), ("left out", None)];
        assert_eq!(bars(&timeline), expected);
        assert!(timeline.rows[0].is_before && !timeline.rows[2].is_before);
        let at_once = of(&run(Some(1_000), &[("nothing to do", "success", 1_000, Some(1_000))]), [], 1_000).unwrap();
        assert_eq!(bars(&at_once), [("nothing to do", Some((0.0, 100.0)))]);
        let mut waiting = run(None, &[]);
        waiting.run.began_ms = None;
        assert!(of(&waiting, ["export"], 2_000).is_none(), "it was not taken up");
    }
}
