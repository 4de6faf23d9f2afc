//! Sign-in to a web app by OpenID Connect: discovery, authorization code with PKCE, ID token, keys, user info.
//! Nobody is asked for a password: the named user consents at once. RS256, code good once and for five minutes.
//! OpenID Connect Core 1.0 and RFC 7636; endpoints and claims as Okta's organisation authorization server has them.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::oauth::jose::sha256;
use crate::oauth::{Credentials, Field, OAuth, Refusal, basic};
use crate::org::Org;
use crate::user::Status;
use crate::wire::{Answer, Call, Outcome, encode};

/// How many codes and how many sign-ins are remembered.
const MOST: usize = 1000;
/// How long a code is good, and a token.
const FIVE_MINUTES: i64 = 300_000;
const HOUR: i64 = 3_600_000;
const KID: &str = "sandbox-signing-key";

/// A web app whose users sign in here.
#[derive(Clone, Debug)]
pub struct WebApp {
    pub client_id: String,
    /// None for an app that relies on PKCE alone.
    pub client_secret: Option<String>,
    pub redirect_uris: Vec<String>,
    /// Who signs in: id or login. Another status than ACTIVE is `access_denied`.
    pub user: String,
}

/// Sign-ins on their way and done.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    pub apps: Vec<WebApp>,
    codes: VecDeque<Code>,
    done: VecDeque<(u64, i64, Value)>,
}

#[derive(Debug)]
struct Code {
    text: String,
    client_id: String,
    redirect_uri: String,
    challenge: Option<String>,
    scope: String,
    claims: Map<String, Value>,
    expires: i64,
}

/// `/.well-known/openid-configuration`.
pub(crate) fn discovery(host: &str) -> Answer {
    let base = format!("http://{host}");
    let at = |name: &str| format!("{base}/oauth2/v1/{name}");
    Answer::value(
        200,
        &json!({
            "issuer": base,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "userinfo_endpoint": at("userinfo"),
            "jwks_uri": at("keys"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile", "groups"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
            "code_challenge_methods_supported": ["S256"],
            "dpop_signing_alg_values_supported": crate::oauth::jose::ALGORITHMS.split(' ').collect::<Vec<_>>(),
        }),
    )
}

impl OAuth {
    /// GET of the endpoints below `/oauth2/v1`.
    pub(crate) fn open(&self, call: &Call, credentials: &Credentials, org: &Org) -> Outcome {
        match call.segments.last().map(String::as_str) {
            Some("authorize") => Ok(self.authorize(call, credentials, org)),
            Some("keys") => {
                let jwk = self.signing_key().jwk();
                Ok(Answer::value(200, &json!({"keys": [jwk]})))
            }
            Some("userinfo") => self.user_info(credentials),
            Some("token") => Err(ApiError::coded("E0000022")),
            _ => Err(ApiError::coded("E0000008")),
        }
    }

    fn authorize(&self, call: &Call, credentials: &Credentials, org: &Org) -> Answer {
        let asked = |name: &str| call.parameter(name).unwrap_or_default();
        let app = self.state().sign_ins.apps.iter().find(|app| app.client_id == asked("client_id")).cloned();
        let refuse = |text: &str| Answer::value(400, &json!({"error": "invalid_request", "error_description": text}));
        // Nothing is sent to an address the app did not register.
        let Some(app) = app else { return refuse("Invalid value for 'client_id' parameter.") };
        if !app.redirect_uris.iter().any(|known| known == asked("redirect_uri")) {
            return refuse("The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.");
        }
        let denied = |error: &str| redirect(asked("redirect_uri"), &[("state", asked("state")), ("error", error)]);
        if asked("response_type") != "code" {
            return denied("unsupported_response_type");
        }
        if !asked("scope").split(' ').any(|scope| scope == "openid") {
            return denied("invalid_scope");
        }
        let challenge = call.parameter("code_challenge").map(str::to_owned);
        let is_weak = challenge.is_some() && asked("code_challenge_method") != "S256";
        if is_weak || (challenge.is_none() && app.client_secret.is_none()) {
            return denied("invalid_request");
        }
        let user = org.user_row(&app.user).and_then(|row| Some((row, org.users.get(row)?)));
        let Some((row, user)) = user.filter(|(_, user)| user.status == Status::Active) else {
            return denied("access_denied");
        };
        let mut claims = json!({"sub": &*user.id, "ver": 1, "iss": format!("http://{}", credentials.host),
            "aud": app.client_id, "amr": ["pwd"], "idp": org.id, "auth_time": credentials.at / 1000,
            "name": user.name(), "email": user.attribute("email"), "email_verified": true,
            "preferred_username": user.attribute("login")});
        if let Some(nonce) = call.parameter("nonce") {
            claims["nonce"] = nonce.into();
        }
        if asked("scope").split(' ').any(|scope| scope == "groups") {
            let of_user = org
                .groups
                .from(0)
                .filter(|(group, _)| u32::try_from(*group).is_ok_and(|group| org.is_member(group, row)));
            claims["groups"] = of_user.map(|(_, group)| Value::from(group.name())).collect();
        }
        let mut state = self.state();
        let text = state.dice.word(43);
        let answer = redirect(asked("redirect_uri"), &[("code", &text), ("state", asked("state"))]);
        if state.sign_ins.codes.len() == MOST {
            state.sign_ins.codes.pop_front();
        }
        state.sign_ins.codes.push_back(Code {
            text,
            client_id: app.client_id,
            redirect_uri: asked("redirect_uri").to_owned(),
            challenge,
            scope: asked("scope").to_owned(),
            claims: claims.as_object().cloned().unwrap_or_default(),
            expires: credentials.at + FIVE_MINUTES,
        });
        answer
    }

    /// The token request of a code; a code is gone whatever becomes of it.
    pub(super) fn redeem(&self, credentials: &Credentials, field: Field<'_>) -> Result<Answer, Refusal> {
        let (id, secret) =
            basic(credentials).unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
        let refuse = |status: u16, error: &'static str, text: &str| Err((status, error, text.to_owned(), None));
        let mut state = self.state();
        let Some(app) = state.sign_ins.apps.iter().find(|app| app.client_id == id).cloned() else {
            return refuse(401, "invalid_client", "Invalid value for 'client_id' parameter.");
        };
        if app.client_secret.as_ref().is_some_and(|known| *known != secret) {
            return refuse(401, "invalid_client", "The client secret supplied for a confidential client is invalid.");
        }
        let at = state.sign_ins.codes.iter().position(|code| code.text == field("code"));
        let Some(code) = at.and_then(|at| state.sign_ins.codes.remove(at)) else {
            return refuse(400, "invalid_grant", "The authorization code is invalid or has expired.");
        };
        if code.expires <= credentials.at || code.client_id != id {
            return refuse(400, "invalid_grant", "The authorization code is invalid or has expired.");
        }
        if code.redirect_uri != field("redirect_uri") {
            return refuse(400, "invalid_grant", "The 'redirect_uri' does not match the one of the authorization.");
        }
        if code.challenge.as_ref().is_some_and(|challenge| *challenge != sha256(field("code_verifier"))) {
            return refuse(400, "invalid_grant", "PKCE verification failed.");
        }
        let (token, jti) = (state.dice.word(300), state.dice.word(42));
        let now = credentials.at / 1000;
        let mut claims = Value::from(code.claims.clone());
        claims["iat"] = now.into();
        claims["exp"] = (now + 3600).into();
        claims["jti"] = format!("ID.{jti}").into();
        if state.sign_ins.done.len() == MOST {
            state.sign_ins.done.pop_front();
        }
        state.sign_ins.done.push_back((self.hash(&token), credentials.at + HOUR, code.claims.into()));
        drop(state);
        let id_token = self.signing_key().sign(&json!({"kid": KID}), &claims);
        let body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token, "scope": code.scope, "id_token": id_token});
        Ok(Answer::value(200, &body))
    }

    fn user_info(&self, credentials: &Credentials) -> Outcome {
        let token = credentials.authorization.as_deref().and_then(|header| header.strip_prefix("Bearer "));
        let hash = self.hash(token.unwrap_or_default());
        let state = self.state();
        let found = state.sign_ins.done.iter().find(|(known, until, _)| *known == hash && credentials.at < *until);
        match found {
            Some((_, _, claims)) => {
                let shown = ["sub", "name", "email", "email_verified", "preferred_username", "groups"];
                let shown: Map<String, Value> =
                    shown.into_iter().filter_map(|name| Some((name.to_owned(), claims.get(name)?.clone()))).collect();
                Ok(Answer::value(200, &shown.into()))
            }
            None => {
                Err(ApiError::coded("E0000011").header("www-authenticate", "Bearer error=\"invalid_token\"".to_owned()))
            }
        }
    }

    fn signing_key(&self) -> &crate::oauth::KeyPair {
        self.signing_key.get_or_init(|| crate::oauth::KeyPair::rsa(KID))
    }
}

fn redirect(to: &str, parameters: &[(&str, &str)]) -> Answer {
    let mut address = to.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&format!("{name}={}", encode(value)));
    }
    let mut answer = Answer::empty(302);
    answer.headers.push(("location", address));
    answer
}
