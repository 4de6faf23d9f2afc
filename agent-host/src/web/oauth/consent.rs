//! The page on which somebody allows a client to act in a directory, and where they are sent then.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use minijinja::{AutoEscape, Environment, Value};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    super::{Web, session},
    fields::Fields,
    fields::Twice,
};
use crate::{
    access::Role,
    directories::{Attempt, Way},
    store::OauthClient,
};

const TEXTS: [(&str, &str); 3] = [
    ("layout.html", include_str!("../../../templates/password/layout.html")),
    ("consent.html", include_str!("../../../templates/oauth/consent.html")),
    ("refused.html", include_str!("../../../templates/oauth/refused.html")),
];
/// A challenge of PKCE is the SHA-256 of its verifier in base64url.
const CHALLENGE_LETTERS: usize = 43;
/// The longest `state` that is passed back.
const MOST_STATE: usize = 2_000;

/// The texts of the pages.
#[derive(Debug)]
pub(in crate::web) struct Pages {
    environment: Environment<'static>,
}

/// A request that can be answered.
struct Asked {
    redirect: String,
    state: Option<String>,
    challenge: Option<String>,
}

/// Why it cannot be.
enum Refusal {
    /// The person is told, since nobody may be sent anywhere.
    Person(&'static str),
    /// The client is told.
    Client { redirect: String, state: Option<String>, error: &'static str, description: &'static str },
}

/// Who consents, or why not.
enum Consent {
    By(String),
    WrongCode,
    /// For so many seconds.
    Slowed(i64),
}

impl Pages {
    pub(in crate::web) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in TEXTS {
            environment.add_template(name, text).expect("the pages' own texts are templates");
        }
        Self { environment }
    }

    fn render(&self, status: StatusCode, name: &str, words: Value) -> Response {
        let template = self.environment.get_template(name);
        let page = template.and_then(|page| page.render(words)).expect("the pages' texts name what they are given");
        (status, Html(page)).into_response()
    }
}

/// Shows the page.
pub(super) async fn ask(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let (name, client, asked) = match understood(&web, &name, query.as_deref()).await {
        Ok(understood) => understood,
        Err(response) => return response,
    };
    match administrator(&web, &headers).await {
        Ok(administrator) => page(&web, &name, &client, &asked, administrator, None),
        Err(error) => failed(&error),
    }
}

/// Takes the decision. The form goes to the address of the page, whose query still says what was asked.
pub(super) async fn decide(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (name, client, asked) = match understood(&web, &name, query.as_deref()).await {
        Ok(understood) => understood,
        Err(response) => return response,
    };
    let fields = Fields::read(&body);
    let decided = async {
        if fields.get("decision").ok().flatten() != Some("allow") {
            // Anybody may say no, and nothing comes of it: only who could have said yes is written down.
            match approver(&web, &headers, &fields).await? {
                Some(approver) => web.directories.deny(&client, &approver).await?,
                None => tracing::info!(peer = %peer.ip(), directory = name, "access was not allowed"),
            }
            return Ok(sent_back(&asked.redirect, asked.state.as_deref(), &[("error", "access_denied")]));
        }
        let problem = match consent(&web, (&name, &client), peer, &headers, &fields).await? {
            Consent::By(approver) => {
                let challenge = asked.challenge.as_deref();
                let code = web.directories.grant(&client, &approver, &asked.redirect, challenge).await?;
                return Ok(sent_back_with_code(&asked, &code));
            }
            Consent::WrongCode => ("code", 0),
            Consent::Slowed(seconds) => ("slowed", seconds),
        };
        let administrator = administrator(&web, &headers).await?;
        anyhow::Ok(page(&web, &name, &client, &asked, administrator, Some(problem)))
    };
    decided.await.unwrap_or_else(|error| failed(&error))
}

/// Whether whoever sent the form may consent, and who they are: an administrator of the dashboard who is signed in and
/// was shown the form, or whoever has the code that `agent-host directory oauth` printed.
async fn consent(
    web: &Web,
    (name, client): (&str, &OauthClient),
    peer: SocketAddr,
    headers: &HeaderMap,
    fields: &Fields,
) -> anyhow::Result<Consent> {
    if let Some(name) = approver(web, headers, fields).await? {
        return Ok(Consent::By(name));
    }
    let code = fields.get("approval").ok().flatten().map(str::trim).unwrap_or_default();
    if !code.is_empty() && web.directories.use_consent_code(client, &SecretString::from(code)).await? {
        return Ok(Consent::By(format!("approval code, from {}", peer.ip())));
    }
    let directory = Some(client.directory);
    let attempt = Attempt { way: Way::Approval, directory, name, tried: "", from: peer.ip() };
    let wait = web.directories.count_wrong(&attempt);
    Ok(wait.map_or(Consent::WrongCode, Consent::Slowed))
}

/// The administrator who is signed in and was shown the form.
async fn approver(web: &Web, headers: &HeaderMap, fields: &Fields) -> anyhow::Result<Option<String>> {
    let Some((name, code)) = administrator(web, headers).await? else { return Ok(None) };
    let is_theirs = session::is_equal(fields.get("code").ok().flatten().unwrap_or_default(), &code);
    Ok((is_theirs && session::is_from_us(headers)).then_some(name))
}

/// The administrator who is signed in, and what the forms carry that are shown to them.
async fn administrator(web: &Web, headers: &HeaderMap) -> anyhow::Result<Option<(String, String)>> {
    let Some(held) = session::cookie(headers, &session::name(web, session::SESSION)) else { return Ok(None) };
    let session = web.operators.session(held).await?.filter(|session| session.caller.may(Role::Administrator));
    Ok(session.map(|session| (session.name, session::code_for(held))))
}

/// The directory's name, its client and what is asked; else what is answered.
async fn understood(web: &Web, name: &str, query: Option<&str>) -> Result<(String, OauthClient, Asked), Response> {
    let found = web.directories.oauth_client(name).await.map_err(|error| failed(&error))?;
    let refused = |why: &str| {
        web.consents.render(StatusCode::BAD_REQUEST, "refused.html", Value::from_pairs([("why", Value::from(why))]))
    };
    let Some((name, client)) = found else {
        return Err(refused("No directory with OAuth has this address."));
    };
    match read(&client, &Fields::read(query.unwrap_or_default().as_bytes())) {
        Ok(asked) => Ok((name, client, asked)),
        Err(Refusal::Person(why)) => Err(refused(why)),
        Err(Refusal::Client { redirect, state, error, description }) => {
            Err(sent_back(&redirect, state.as_deref(), &[("error", error), ("error_description", description)]))
        }
    }
}

fn read(client: &OauthClient, fields: &Fields) -> Result<Asked, Refusal> {
    let person = |_: Twice| Refusal::Person("The request says who asks more than once.");
    if fields.get("client_id").map_err(person)? != Some(client.client_id.as_str()) {
        return Err(Refusal::Person("The request comes from a client that this directory does not know (client_id)."));
    }
    let redirect = fields.get("redirect_uri").map_err(person)?;
    let Some(redirect) = client.redirects.iter().find(|known| Some(known.as_str()) == redirect) else {
        return Err(Refusal::Person(
            "The request asks to send you where the client was not set up to be sent back to (redirect_uri).",
        ));
    };
    let state = fields.get("state").ok().flatten().filter(|state| state.len() <= MOST_STATE).map(str::to_owned);
    let refuse = |error: &'static str, description: &'static str| Refusal::Client {
        redirect: redirect.clone(),
        state: state.clone(),
        error,
        description,
    };
    let once = |name: &str| {
        fields.get(name).map_err(|Twice| refuse("invalid_request", "a parameter stands there more than once"))
    };
    once("state")?;
    match once("response_type")? {
        Some("code") => {}
        Some(_) => return Err(refuse("unsupported_response_type", "response_type can be code alone")),
        None => return Err(refuse("invalid_request", "response_type is missing; send code")),
    }
    let challenge = once("code_challenge")?.map(str::to_owned);
    let method = once("code_challenge_method")?;
    match &challenge {
        None if method.is_some() || client.secret_hash.is_none() => {
            return Err(refuse("invalid_request", "code_challenge is missing; a client without a secret uses PKCE"));
        }
        Some(_) if method != Some("S256") => {
            return Err(refuse("invalid_request", "code_challenge_method can be S256 alone"));
        }
        Some(challenge) if challenge.len() != CHALLENGE_LETTERS => {
            return Err(refuse("invalid_request", "code_challenge is no SHA-256 in base64url"));
        }
        _ => {}
    }
    Ok(Asked { redirect: redirect.clone(), state, challenge })
}

fn page(
    web: &Web,
    name: &str,
    client: &OauthClient,
    asked: &Asked,
    administrator: Option<(String, String)>,
    problem: Option<(&str, i64)>,
) -> Response {
    let (who, code) = administrator.unwrap_or_default();
    let url = Url::parse(&asked.redirect).ok();
    let origin = url.as_ref().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let rights = ["create, change and deactivate users", "create, change and delete groups", "read both"];
    let (problem, wait) = problem.unwrap_or_default();
    let words = Value::from_pairs([
        ("directory", Value::from(name)),
        ("host", Value::from(host)),
        ("service_user", Value::from(client.service_user.as_str())),
        ("redirect", Value::from(asked.redirect.as_str())),
        ("rights", Value::from(rights.to_vec())),
        ("who", Value::from(who)),
        ("code", Value::from(code)),
        ("problem", Value::from(problem)),
        ("wait", Value::from(wait)),
    ]);
    let status = match problem {
        "" => StatusCode::OK,
        "slowed" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut response = web.consents.render(status, "consent.html", words);
    // Browsers ask the policy of a form where its answer sends them, too.
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {origin}; frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn sent_back_with_code(asked: &Asked, code: &SecretString) -> Response {
    sent_back(&asked.redirect, asked.state.as_deref(), &[("code", code.expose_secret())])
}

/// Sends the browser back to the client, by a status that never repeats the form there.
fn sent_back(redirect: &str, state: Option<&str>, pairs: &[(&str, &str)]) -> Response {
    let Ok(mut url) = Url::parse(redirect) else { return StatusCode::BAD_REQUEST.into_response() };
    url.query_pairs_mut().extend_pairs(pairs).extend_pairs(state.map(|state| ("state", state)));
    (StatusCode::SEE_OTHER, [(header::LOCATION, String::from(url))]).into_response()
}

fn failed(error: &anyhow::Error) -> Response {
    tracing::error!(error = format!("{error:#}"), "a consent cannot be asked for");
    (StatusCode::SERVICE_UNAVAILABLE, "This does not work at the moment. Please try again later.\n").into_response()
}
