//! Compares each recorded answer with the sandbox's: status, headers, `Link` relations, error code, keys and JSON types.

use serde_json::Value;

use crate::answer::Answer;
use crate::recordings::Era;
use crate::replay::{Ids, Replay};
use crate::shape;

/// One difference between a recorded answer and the sandbox's.
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) step: usize,
    /// Method and path, with `:id` for what only one organisation knows.
    pub(crate) request: String,
    pub(crate) era: Era,
    /// What differs, in the words that the list of differences uses: `status`, `link next`, `missing profile.login`, …
    pub(crate) subject: String,
    /// Both sides, for the reader.
    pub(crate) detail: String,
}

pub(crate) fn findings(replay: &Replay) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (step, (exchange, ours)) in replay.recording.exchanges.iter().zip(&replay.answers).enumerate() {
        let Some(ours) = ours else { continue };
        let request = request(&exchange.method, &exchange.target);
        for (subject, detail) in differences(&exchange.answer, ours, &replay.ids) {
            let (file, request) = (replay.recording.name.clone(), request.clone());
            findings.push(Finding { file, step, request, era: exchange.era, subject, detail });
        }
    }
    findings
}

/// Method and path of a request, ids and logins replaced by `:id`, without the query.
pub(crate) fn request(method: &str, target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let is_id = |segment: &str| segment != "v1" && segment.contains(|c: char| c.is_ascii_digit() || c == '@');
    let path: Vec<_> = path.split('/').map(|segment| if is_id(segment) { ":id" } else { segment }).collect();
    format!("{method} {}", path.join("/"))
}

pub(crate) fn differences(recorded: &Answer, ours: &Answer, ids: &Ids) -> Vec<(String, String)> {
    if recorded.status != ours.status {
        let summary = ours.body.as_ref().and_then(|body| body["errorSummary"].as_str()).unwrap_or_default();
        let detail = format!("ours {} {summary}, recorded {}", ours.status, recorded.status);
        // The bodies of two different outcomes have nothing to compare.
        return vec![("status".to_owned(), detail)];
    }
    let mut found = links(recorded, ours);
    let headers = |subject: &str, some: &Answer, other: &Answer| {
        let names = some.headers.difference(&other.headers);
        names.map(|name| (format!("{subject} header {name}"), String::new())).collect::<Vec<_>>()
    };
    found.extend(headers("missing", recorded, ours));
    found.extend(headers("extra", ours, recorded));
    if recorded.error_code() != ours.error_code() {
        let code = |answer: &Answer| answer.error_code().unwrap_or("none").to_owned();
        found.push(("errorCode".to_owned(), format!("ours {}, recorded {}", code(ours), code(recorded))));
    }
    match (&recorded.body, &ours.body) {
        (None, None) => {}
        (Some(Value::Array(recorded)), Some(Value::Array(ours))) => found.extend(lists(recorded, ours, ids)),
        (Some(recorded), Some(ours)) => found.extend(shapes(recorded, ours)),
        (Some(_), None) => found.push(("missing body".to_owned(), String::new())),
        (None, Some(ours)) => found.push(("extra body".to_owned(), ours.to_string())),
    }
    found
}

fn links(recorded: &Answer, ours: &Answer) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut differ = |subject: &str, ours: &dyn std::fmt::Debug, recorded: &dyn std::fmt::Debug| {
        found.push((format!("link {subject}"), format!("ours {ours:?}, recorded {recorded:?}")));
    };
    let (recorded, ours) = (&recorded.links, &ours.links);
    if ours.joined {
        differ("joined", &true, &recorded.joined);
    }
    if recorded.own != ours.own {
        differ("self", &ours.own, &recorded.own);
    }
    match (&recorded.next, &ours.next) {
        (Some(recorded), Some(ours)) if recorded.parameters != ours.parameters => {
            differ("parameters", &ours.parameters, &recorded.parameters);
        }
        (Some(_), Some(_)) | (None, None) => {}
        (recorded, ours) => differ("next", &ours.is_some(), &recorded.is_some()),
    }
    found
}

/// Lists hold the same known entities; their shapes are compared on those, or on all elements where none is known.
fn lists(recorded: &[Value], ours: &[Value], ids: &Ids) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pairs = (Vec::new(), Vec::new());
    for element in recorded {
        let Some(id) = element["id"].as_str().and_then(|id| ids.get(id)) else { continue };
        if let Some(ours) = ours.iter().find(|ours| ours["id"] == id) {
            pairs.0.push(element.clone());
            pairs.1.push(ours.clone());
        } else {
            found.push(("missing element".to_owned(), format!("recorded {}, ours {id}", element["id"])));
        }
    }
    for element in ours.iter().filter(|element| element["id"].as_str().is_some_and(|id| ids.has_ours(id))) {
        if !pairs.1.contains(element) {
            found.push(("extra element".to_owned(), format!("ours {}", element["id"])));
        }
    }
    if !pairs.0.is_empty() {
        found.extend(shapes(&Value::Array(pairs.0), &Value::Array(pairs.1)));
    } else if found.is_empty() {
        found.extend(shapes(&Value::from(recorded), &Value::from(ours)));
    }
    found
}

fn shapes(recorded: &Value, ours: &Value) -> Vec<(String, String)> {
    shape::compare(recorded, ours).into_iter().map(|parting| (parting.subject, parting.detail)).collect()
}
