//! The System Log over HTTP.
//! Okta: 100 events a page (1000 at most), seven days back by default, 180 at most (400 `E0000053`); without `until`
//! and ascending it is a polling request, which always has a next link; with `until` it ends.

use crate::clock;
use crate::error::ApiError;
use crate::log::Event;
use crate::org::Org;
use crate::search::{self, Grammar};
use crate::wire::{Answer, Call, Limit, Outcome};

const LIMIT: Limit = Limit { default: 100, min: 0, max: 1000 };
const DAY: i64 = 86_400_000;
const FILTER: Grammar = Grammar { fold: true, allows: |_, _| true };

pub(crate) fn read(call: &Call, org: &Org) -> Outcome {
    let time = |name: &str| match call.parameter(name) {
        Some(text) => clock::parse(text).map(Some).ok_or_else(|| ApiError::coded("E0000053")),
        None => Ok(None),
    };
    let (since, until) = (time("since")?, time("until")?);
    if since.is_some_and(|since| since < call.now - 180 * DAY) {
        return Err(ApiError::coded("E0000053"));
    }
    let filter = match call.parameter("filter") {
        Some(text) => Some(search::parse(text, &FILTER).ok_or_else(|| ApiError::coded("E0000053"))?),
        None => None,
    };
    let words: Vec<String> =
        call.parameter("q").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let (since, until) = (since.unwrap_or(call.now - 7 * DAY), until.unwrap_or(i64::MAX));
    let fits = |event: &Event| {
        event.published >= since
            && event.published < until
            && filter.as_ref().is_none_or(|filter| filter.matches(event))
            && (words.is_empty() || words.iter().all(|word| event.text.to_lowercase().contains(word)))
    };
    let mut page = call.page(LIMIT)?;
    let push = |event: &Event, out: &mut String| out.push_str(&event.text);
    if call.parameter("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("DESCENDING")) {
        // Descending rows count backwards from the end the first page saw, which the cursor carries.
        let newest = if call.parameter("after").is_some() { page.start } else { org.log.end() };
        let mut rows =
            org.log.from(0).rev().skip_while(|(number, _)| *number >= newest).filter(|(_, event)| fits(event));
        let taken: Vec<_> = rows.by_ref().take(page.limit).collect();
        page.next = rows.next().map(|(number, _)| number + 1);
        let next = page.next;
        let body = page.fill(taken.into_iter(), push);
        page.next = next;
        return Ok(Answer::list(body, page));
    }
    let body = page.fill(org.log.from(page.start).filter(|(_, event)| fits(event)), push);
    if until == i64::MAX {
        page.next = Some(page.next.unwrap_or(org.log.end()));
    }
    Ok(Answer::list(body, page))
}
