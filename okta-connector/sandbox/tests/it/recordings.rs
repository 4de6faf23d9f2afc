//! The recorded exchanges: VCRpy cassettes, read as they are from the shared folder.
//!
//! Two recorders wrote them. The older one kept one value for each header and dropped every request body; the newer one
//! kept lists of values and JSON text. Both become the same [`Exchange`] here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Answer, Links};

/// The folders which the sandbox answers for; the other folders hold parts of Okta which no connector touches.
const FOLDERS: [&str; 9] = [
    "test_users_it",
    "test_groups_it",
    "test_applications_it",
    "test_user_types_it",
    "test_user_schema_it",
    "test_group_schema_it",
    "test_api_token_it",
    "test_principal_rate_limits_it",
    "test_dpop_it",
];

/// Recordings which their own README calls edited by hand: they say nothing about Okta.
const NOT_AUTHENTIC: &str = "test_users_it/*forgot_password*";

/// Recordings outside those folders which hold a 429; nothing else in them is compared.
pub(crate) const REFUSALS: [&str; 2] = [
    "test_agent_pools_it/TestAgentPoolsResource.test_list_agent_pools_with_multiple_pool_types.yaml",
    "test_application_features_it/TestApplicationFeaturesResource.test_comprehensive_coverage_push.yaml",
];

pub(crate) struct Recording {
    /// Folder and test, such as `test_users_it/TestUsersResource.test_unlock_user`.
    pub(crate) name: String,
    pub(crate) exchanges: Vec<Exchange>,
}

pub(crate) struct Exchange {
    pub(crate) method: String,
    /// Path and query, as they were sent.
    pub(crate) target: String,
    pub(crate) body: Option<Value>,
    /// A DPoP proof came along.
    pub(crate) has_proof: bool,
    pub(crate) answer: Answer,
    pub(crate) era: Era,
}

impl Exchange {
    pub(crate) fn is_token_request(&self) -> bool {
        self.target == "/oauth2/v1/token"
    }

    /// The segments of the path below `/api/v1`.
    pub(crate) fn segments(&self) -> Vec<&str> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.trim_start_matches("/api/v1/").trim_end_matches('/').split('/').collect()
    }
}

/// Which of the two generations of Okta a recording shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Era {
    /// 2020 to 2022, the legacy engine.
    Older,
    /// 2025 and 2026, the one the sandbox follows.
    Newer,
}

/// The shared folder beside the workspace, where there is one.
pub(crate) fn shared() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    Some(workspace.parent()?.join("shared/okta")).filter(|folder| folder.is_dir())
}

/// The files of [`FOLDERS`], authentic or not, in order of their names.
pub(crate) fn files(shared: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| std::fs::read_dir(shared.join("recordings").join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

pub(crate) fn authentic(path: &Path) -> bool {
    !crate::differences::glob(NOT_AUTHENTIC, &name_of(path))
}

pub(crate) fn read(path: &Path) -> Recording {
    let text = std::fs::read_to_string(path).unwrap();
    let cassette: Cassette = serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Recording { name: name_of(path), exchanges: cassette.interactions.into_iter().map(Exchange::from).collect() }
}

fn name_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap().to_string_lossy();
    format!("{folder}/{}", path.file_stem().unwrap().to_string_lossy())
}

#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    uri: String,
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct RecordedResponse {
    status: RecordedStatus,
    headers: BTreeMap<String, Header>,
    body: RecordedBody,
}

#[derive(Deserialize)]
struct RecordedStatus {
    code: u16,
}

#[derive(Deserialize)]
struct RecordedBody {
    string: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Header {
    /// Only the last line of a header that came more than once.
    Last(String),
    Lines(Vec<String>),
}

impl From<Interaction> for Exchange {
    fn from(Interaction { request, response }: Interaction) -> Self {
        let header =
            |name: &str| response.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let links = match header("link") {
            None => Links::default(),
            Some(Header::Lines(lines)) => Links::of(lines),
            // Okta sends `self` before `next`: where `next` was kept, `self` was lost.
            Some(Header::Last(line)) => Links { own: true, ..Links::of(std::slice::from_ref(line)) },
        };
        let era = match header("date") {
            Some(Header::Lines(lines))
                if lines.iter().any(|date| date.contains(" 2025 ") || date.contains(" 2026 ")) =>
            {
                Era::Newer
            }
            _ => Era::Older,
        };
        let body = request.body.map(|body| match body {
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            other => other,
        });
        let (_, rest) = request.uri.split_once("://").expect("an absolute URI");
        Self {
            method: request.method,
            target: rest[rest.find('/').unwrap_or(rest.len())..].to_owned(),
            body: body.filter(|body| !body.is_null()),
            has_proof: request.headers.keys().any(|name| name.eq_ignore_ascii_case("dpop")),
            answer: Answer {
                status: response.status.code,
                headers: Answer::headers(response.headers.keys().map(String::as_str)),
                links,
                body: Answer::json(&response.body.string),
                nonce: None,
            },
            era,
        }
    }
}
