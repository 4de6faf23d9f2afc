//! HashiCorp Vault and OpenBao, played by a stand-in that follows their API pages: KV 1 and 2, tokens, AppRole,
//! namespaces, a seal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use acceptance::{CONNECTION, TestAgent};
use agent_host::settings::Settings;
use serde_json::{Value, json};

use super::{
    API_KEY, agent, assert_refused, assert_works,
    authority::Authority,
    server::{Asked, Server, Told},
};

pub(super) const TOKEN: &str = "hvs.TokenOfTheAgent-CAESIJ";
const ROLE_TOKEN: &str = "hvs.TokenOfTheRole-DBFTJK";
const SECRET_ID: &str = "84896a0c-1347-aa90-a4f6-aca8b7558780";

/// What the server knows.
#[derive(Default)]
struct Store {
    sealed: bool,
    namespace: String,
    /// Seconds that the token lives.
    token_life: u64,
    /// Mounts and the version of their engine.
    mounts: BTreeMap<String, u8>,
    secrets: BTreeMap<String, Value>,
    /// Paths that no policy opens.
    closed: Vec<String>,
    /// Answers before all else: how many are left, and which.
    faults: Vec<Told>,
    given_back: Vec<String>,
}

pub(super) struct Vault {
    server: Server,
    store: Arc<Mutex<Store>>,
}

impl Vault {
    pub(super) fn start() -> Self {
        Self::with(|answer| Server::plain(answer))
    }

    fn with(start: impl FnOnce(Box<dyn Fn(&Asked) -> Told + Send + Sync>) -> Server) -> Self {
        let store = Arc::new(Mutex::new(Store { token_life: 3600, ..Store::default() }));
        let known = Arc::clone(&store);
        Self {
            server: start(Box::new(move |asked| known.lock().expect("nobody panics with the lock").answer(asked))),
            store,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.server.url
    }

    /// Settings that read the secret `agent` with a token.
    pub(super) fn settings(&self) -> Value {
        json!({ "Address": self.url(), "Token": TOKEN, "Path": "agent", "TimeoutSeconds": 5 })
    }

    /// Keeps a secret in an engine of this version.
    pub(super) fn keep(&self, mount: &str, version: u8, path: &str, values: Value) {
        let mut store = self.store.lock().expect("nobody panics with the lock");
        store.mounts.insert(mount.to_owned(), version);
        store.secrets.insert(format!("{mount}/{path}"), values);
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.store.lock().expect("nobody panics with the lock"));
    }
}

fn errors(status: u16, errors: &[&str]) -> Told {
    Told::json(status, &json!({ "errors": errors }))
}

impl Store {
    fn answer(&mut self, asked: &Asked) -> Told {
        if !self.faults.is_empty() {
            return self.faults.remove(0);
        }
        if self.sealed {
            return errors(503, &["Vault is sealed"]);
        }
        if asked.header("x-vault-namespace") != self.namespace {
            return errors(404, &["no handler for route: the namespace is another"]);
        }
        let path = asked.path.strip_prefix("/v1/").unwrap_or_default();
        if (asked.method.as_str(), path) == ("POST", "auth/approle/login") {
            return match (asked.json()["role_id"].as_str(), asked.json()["secret_id"].as_str()) {
                (Some("the-role"), Some(SECRET_ID)) => Told::json(200, &self.token(ROLE_TOKEN)),
                _ => errors(400, &["invalid role or secret ID"]),
            };
        }
        let token = asked.header("x-vault-token");
        if ![TOKEN, ROLE_TOKEN].contains(&token) || self.closed.iter().any(|closed| closed == path) {
            return errors(403, &["1 error occurred:\n\t* permission denied\n\n"]);
        }
        match (asked.method.as_str(), path) {
            ("POST", "auth/token/renew-self") => Told::json(200, &self.token(token)),
            ("POST", "auth/token/revoke-self") => {
                self.given_back.push(token.to_owned());
                Told::Text(204, String::new())
            }
            ("GET", path) => self.read(path),
            _ => errors(405, &["unsupported operation"]),
        }
    }

    fn token(&self, token: &str) -> Value {
        let auth = json!({
            "client_token": token, "accessor": "0e9e354a", "policies": ["default"], "renewable": true,
            "lease_duration": self.token_life,
        });
        json!({ "request_id": "6f2c", "lease_id": "", "renewable": false, "data": null, "auth": auth })
    }

    fn read(&self, path: &str) -> Told {
        let (mount, rest) = path.split_once('/').unwrap_or((path, ""));
        let answer = |data: &Value, lease: u64| {
            let body =
                json!({ "request_id": "1b2c", "lease_id": "", "lease_duration": lease, "data": data, "auth": null });
            Told::json(200, &body)
        };
        match (self.mounts.get(mount), rest.strip_prefix("data/")) {
            (Some(1), _) => match self.secrets.get(path) {
                Some(values) => answer(values, 2_764_800),
                None => errors(404, &[]),
            },
            (Some(2), Some(name)) => match self.secrets.get(&format!("{mount}/{name}")) {
                Some(Value::Null) => {
                    let deleted = json!({ "deletion_time": "2026-01-01T00:00:00Z", "destroyed": false, "version": 1 });
                    Told::json(404, &json!({ "data": { "data": null, "metadata": deleted } }))
                }
                Some(values) => answer(&json!({ "data": values, "metadata": { "version": 1 } }), 0),
                None => errors(404, &[]),
            },
            (Some(_), None) => Told::json(
                404,
                &json!({ "errors": [], "warnings": ["Invalid path for a versioned K/V secrets engine."] }),
            ),
            _ => errors(404, &[&format!("no handler for route \"{path}\".")]),
        }
    }
}

fn full_key() -> Value {
    json!({ "Connections--OktaExportFulfillment--ApiKey": API_KEY })
}

#[test]
fn a_token_reads_either_version_of_the_engine() {
    for version in [1, 2] {
        for setting in ["auto", &version.to_string()] {
            let vault = Vault::start();
            vault.keep("kv", version, "team/agent", full_key());
            let mut settings = vault.settings();
            settings["Mount"] = json!("kv");
            settings["Path"] = json!("team/agent");
            settings["KvVersion"] = json!(setting);
            assert_works(&agent("HashiCorpVault", &settings), &[], &[TOKEN]);
        }
    }
}

#[test]
fn a_policy_for_the_first_version_alone_is_enough() {
    let vault = Vault::start();
    vault.keep("secret", 1, "agent", full_key());
    vault.change(|store| store.closed = vec!["secret/data/agent".to_owned(), "auth/token/renew-self".to_owned()]);
    assert_works(&agent("HashiCorpVault", &vault.settings()), &[], &[TOKEN]);
}

#[test]
fn a_secret_may_belong_to_a_connection() {
    let vault = Vault::start();
    vault.keep("secret", 2, "okta/export", json!({ "ApiKey": API_KEY, "MaxConcurrency": 3 }));
    let mut settings = vault.settings();
    settings["Path"] = Value::Null;
    settings["Connections"] = json!({ CONNECTION: "okta/export" });
    let agent = agent("HashiCorpVault", &settings);
    assert_works(&agent, &[], &[TOKEN]);
    assert!(agent.exported(&[])["max_in_flight"].as_u64().is_some_and(|most| most <= 3));
}

#[test]
fn an_app_role_signs_in_within_its_namespace_and_gives_the_token_back() {
    let vault = Vault::start();
    vault.keep("secret", 2, "agent", full_key());
    vault.change(|store| store.namespace = "team/agent".to_owned());
    let mut settings = vault.settings();
    settings["Token"] = Value::Null;
    settings["Namespace"] = json!("team/agent");
    settings["RoleId"] = json!("the-role");
    settings["SecretId"] = json!(SECRET_ID);
    let right = agent("HashiCorpVault", &settings);
    assert_works(&right, &[], &[ROLE_TOKEN, SECRET_ID]);
    vault.change(|store| assert_eq!(store.given_back, [ROLE_TOKEN, ROLE_TOKEN]));

    settings["SecretId"] = json!("00wrongSecret");
    let wrong = agent("HashiCorpVault", &settings);
    assert_refused(&wrong, &[], &["00wrongSecret"], 4, &["AppRole at `auth/approle`", vault.url()]);
}

#[test]
fn the_token_may_come_from_a_variable_a_file_or_the_services_credentials() {
    let vault = Vault::start();
    vault.keep("secret", 2, "agent", full_key());
    let mut settings = vault.settings();
    settings["Token"] = Value::Null;
    let variable = agent("HashiCorpVault", &settings);
    assert_refused(&variable, &[], &[], 3, &["`HashiCorpVault:Token` is missing"]);
    assert_works(&variable, &[("HashiCorpVault__Token", TOKEN)], &[TOKEN]);

    settings["TokenFile"] = json!("vault-token");
    let file = agent("HashiCorpVault", &settings);
    assert_refused(&file, &[], &[], 3, &["`HashiCorpVault:TokenFile` names a file that is not there"]);
    let credentials = file.beside("credentials");
    file.write_beside("credentials/vault-token", &format!("{TOKEN}\n"));
    assert_works(&file, &[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())], &[TOKEN]);
    file.write("vault-token", &format!("{TOKEN}\n"));
    assert_works(&file, &[], &[TOKEN]);
}

#[test]
fn what_a_vault_refuses_is_told_with_its_remedy() {
    let vault = Vault::start();
    vault.keep("secret", 2, "agent", full_key());
    let reader = agent("HashiCorpVault", &vault.settings());
    // The file and the key that name the vault, then the vault and what is in it.
    let place = format!("`HashiCorpVault:Address`: HashiCorp vault `{}`: reading `secret/agent`: ", vault.url());
    let file = "error: appsettings.json:1:";

    vault.change(|store| store.closed = vec!["secret/data/agent".to_owned(), "secret/agent".to_owned()]);
    assert_refused(&reader, &[], &[TOKEN], 4, &[file, &place, "refuses it (403)", "policy"]);
    vault.change(|store| store.closed.clear());
    assert_refused(&reader, &[("HashiCorpVault__Token", "00wrong")], &["00wrong"], 4, &[&place, "(403)"]);

    vault.keep("secret", 2, "agent", Value::Null);
    assert_refused(&reader, &[], &[TOKEN], 3, &[&place, "no such thing in the vault (404)", "`Mount`"]);
    vault.change(|store| store.sealed = true);
    assert_refused(&reader, &[], &[TOKEN], 3, &["the vault is sealed", "unseal"]);
}

#[test]
fn a_vault_that_fails_is_asked_again_and_then_given_up() {
    let vault = Vault::start();
    vault.keep("secret", 2, "agent", full_key());
    let reader = agent("HashiCorpVault", &vault.settings());
    vault.change(|store| store.closed = vec!["auth/token/renew-self".to_owned()]);
    let fault = || errors(500, &[API_KEY]);
    vault.change(|store| store.faults = vec![fault(), fault()]);
    super::run(&reader, &[], &["check"], &[TOKEN]).must_exit(0);
    vault.change(|store| store.faults = (0..6).map(|_| fault()).collect());
    assert_refused(&reader, &[], &[TOKEN], 3, &["renewing the token: the vault is unavailable: it answers 500"]);
}

#[test]
fn an_answer_that_is_none_is_told_without_repeating_it() {
    for text in [r#"{"data": "00ApiKeyOfTheOrganisation-abcdefghijklmnop""#, "<html>", r#"{"data":{"data":["x"]}}"#] {
        let text = text.to_owned();
        let server = Server::plain(move |asked| match asked.method.as_str() {
            "GET" => Told::Text(200, text.clone()),
            _ => errors(403, &[]),
        });
        let settings = json!({ "Address": server.url, "Token": TOKEN, "Path": "agent" });
        let texts = ["reading `secret/agent`: the answer is none of such a vault"];
        assert_refused(&agent("HashiCorpVault", &settings), &[], &[TOKEN], 3, &texts);
    }
}

#[test]
fn no_token_goes_where_a_redirect_leads() {
    let other = Server::plain(|_| Told::json(200, &json!({ "data": { "data": full_key() } })));
    let to = other.url.clone();
    let vault = Server::plain(move |asked| Told::Redirect(format!("{to}{}", asked.path)));
    let settings = json!({ "Address": vault.url, "Token": TOKEN, "Path": "agent" });
    assert_refused(&agent("HashiCorpVault", &settings), &[], &[TOKEN], 3, &["sends us elsewhere (307)"]);
    assert!(other.asked().is_empty());
}

#[test]
fn a_vault_that_does_not_answer_or_is_not_there_is_unavailable() {
    let silent = Server::plain(|_| Told::Nothing);
    let settings = json!({ "Address": silent.url, "Token": TOKEN, "Path": "agent", "TimeoutSeconds": 1 });
    let agent = agent("HashiCorpVault", &settings);
    assert_refused(&agent, &[], &[TOKEN], 3, &[&silent.url, "no answer within 1 s"]);
    let gone = [("HashiCorpVault__Address", "http://127.0.0.1:9")];
    assert_refused(&agent, &gone, &[TOKEN], 3, &["HashiCorp vault `http://127.0.0.1:9`", "unavailable"]);
}

#[test]
fn the_vaults_certificate_is_checked() {
    let authority = Authority::new("authority of the vault");
    let vault = Vault::with(|answer| Server::tls(&authority, None, answer));
    vault.keep("secret", 2, "agent", full_key());
    let agent = agent("HashiCorpVault", &vault.settings());
    let texts = ["the server's certificate is not trusted", "`HashiCorpVault:CaFile`"];
    assert_refused(&agent, &[], &[TOKEN], 3, &texts);
    agent.write("vault-ca.pem", &authority.pem());
    assert_works(&agent, &[("HashiCorpVault__CaFile", "vault-ca.pem")], &[TOKEN]);
    agent.write("vault-ca.pem", &Authority::new("another").pem());
    assert_refused(&agent, &[("HashiCorpVault__CaFile", "vault-ca.pem")], &[TOKEN], 3, &texts);
    agent.write("vault-ca.pem", "none");
    let texts = ["`HashiCorpVault:CaFile` names a file without a certificate"];
    assert_refused(&agent, &[("HashiCorpVault__CaFile", "vault-ca.pem")], &[TOKEN], 3, &texts);
}

#[test]
fn settings_that_cannot_be_used_are_named_where_they_are_written() {
    let vault = Vault::start();
    for (key, value, text) in [
        ("Address", json!("http://vault.example.com"), "`HashiCorpVault:Address` is no `https` address"),
        ("Address", json!("vault.example.com"), "`HashiCorpVault:Address` is no address"),
        (
            "Address",
            json!("https://me:00pass@vault.example.com"),
            "`HashiCorpVault:Address` holds a user or a password",
        ),
        ("KvVersion", json!("3"), "`HashiCorpVault:KvVersion` is no version"),
        ("RoleId", json!("the-role"), "`HashiCorpVault:RoleId` and a token are both given"),
        ("TimeoutSeconds", json!(0), "`HashiCorpVault:TimeoutSeconds` is no number of seconds from 1 to 120"),
        ("RefreshSeconds", json!("soon"), "`HashiCorpVault:RefreshSeconds` is no number of seconds"),
        ("TokenFile", json!("x"), "`HashiCorpVault:TokenFile` and `Token` are both given"),
        ("Path", Value::Null, "`HashiCorpVault:Path` is missing"),
    ] {
        let mut settings = vault.settings();
        settings[key] = value;
        let agent = agent("HashiCorpVault", &settings);
        assert_refused(&agent, &[], &[TOKEN, "00pass"], 3, &["appsettings.json:1:", text]);
    }
    assert!(vault.server.asked().is_empty());
}

#[test]
fn the_settings_say_when_to_read_them_again() {
    let refresh_after = |agent: &TestAgent| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let none: [(&str, &str); 0] = [];
        runtime.block_on(Settings::load(&agent.directory(), none)).unwrap().0.refresh_after
    };
    let vault = Vault::start();
    vault.keep("secret", 1, "agent", full_key());
    let mut settings = vault.settings();
    for (life, refresh, expected) in [(3600, 86_400, 1800), (86_400, 900, 900), (10, 900, 30), (0, 3600, 3600)] {
        vault.change(|store| store.token_life = life);
        settings["RefreshSeconds"] = json!(refresh);
        let agent = agent("HashiCorpVault", &settings);
        assert_eq!(refresh_after(&agent), Some(Duration::from_secs(expected)), "{life} {refresh}");
    }
    assert_eq!(refresh_after(&TestAgent::new()), None);
}

/// The daemon's next line with this text, within the time that a retry takes.
fn line_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) -> String {
    let mut seen = Vec::new();
    for line in lines.map_while(Result::ok) {
        if line.contains(text) {
            return line;
        }
        seen.push(line);
    }
    panic!("the daemon ended without `{text}`: {seen:?}");
}

#[test]
fn the_daemon_waits_for_a_vault_that_is_sealed_and_reads_it_again_in_time() {
    use std::io::{BufRead, BufReader};

    let vault = Vault::start();
    vault.keep("secret", 2, "agent", full_key());
    let mut settings = vault.settings();
    settings["RefreshSeconds"] = json!(1);
    let agent = agent("HashiCorpVault", &settings);
    vault.change(|store| store.sealed = true);
    let mut command = agent.command(&["run"]);
    command.env("Web__Urls", "http://127.0.0.1:0");
    let mut daemon = command.spawn().expect("the daemon starts");
    let mut lines = BufReader::new(daemon.stderr.take().expect("it is piped")).lines();
    let told = line_with(&mut lines, "will be tried again");
    assert!(told.contains("the vault is sealed") && told.contains("HashiCorpVault"), "{told}");
    vault.change(|store| store.sealed = false);
    line_with(&mut lines, "Now listening on");
    vault.change(|store| store.sealed = true);
    line_with(&mut lines, "will be tried again");
    vault.change(|store| store.sealed = false);
    line_with(&mut lines, "the settings were read anew");
    daemon.kill().expect("it runs");
    daemon.wait().expect("it ends");
}
