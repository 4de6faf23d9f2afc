//! Azure Key Vault with Entra's token endpoint and those of managed identities, played by a stand-in that follows
//! Microsoft's pages: paged lists, attributes, client secrets, signed assertions.

use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::{
    digest,
    signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    API_KEY, agent, assert_refused, assert_works,
    authority::{Authority, Issued},
    run,
    server::{Asked, Server, Told},
};

const ACCESS_TOKEN: &str = "eyJ0eXAiOiJKV1Q.AccessTokenOfTheAgent.c2ln";
const CLIENT_SECRET: &str = "8Q~ClientSecretOfTheAgent+&=/";
const SECRETS: &str = "/secrets";

/// A secret as a vault lists it: its name and attributes.
type Listed = (&'static str, Value);

struct Vault {
    server: Server,
    refused: Arc<Mutex<Vec<&'static str>>>,
}

impl Vault {
    fn start(listed: Vec<Listed>, client: Option<Arc<Issued>>) -> Self {
        let refused: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let closed = Arc::clone(&refused);
        let own_url: Arc<OnceLock<String>> = Arc::default();
        let url = Arc::clone(&own_url);
        let server = Server::plain(move |asked| {
            let url = url.get().map(String::as_str).unwrap_or_default();
            if closed.lock().expect("nobody panics with the lock").contains(&asked.path.as_str()) {
                return Told::json(403, &json!({ "error": { "code": "Forbidden", "message": API_KEY } }));
            }
            match asked.path.as_str() {
                "/the-tenant/oauth2/v2.0/token" => entra(asked, url, client.as_deref()),
                "/metadata/identity/oauth2/token" if asked.header("metadata") == "true" => {
                    identity(asked, "2018-02-01")
                }
                "/msi/token" if asked.header("x-identity-header") == "853b9a84" => identity(asked, "2019-08-01"),
                _ => vault(asked, url, &listed),
            }
        });
        own_url.get_or_init(|| server.url.clone());
        Self { server, refused }
    }

    fn settings(&self) -> Value {
        json!({ "Vault": self.server.url, "TimeoutSeconds": 5 })
    }

    fn with_client(&self) -> Value {
        json!({
            "Vault": self.server.url, "AuthorityHost": self.server.url, "TenantId": "the-tenant",
            "ClientId": "the-client", "TimeoutSeconds": 5,
        })
    }
}

fn token() -> Told {
    Told::json(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": ACCESS_TOKEN }))
}

fn entra(asked: &Asked, url: &str, client: Option<&Issued>) -> Told {
    let form = Asked::form(&asked.body);
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let asks = field("grant_type") == "client_credentials"
        && field("client_id") == "the-client"
        && field("scope") == "https://vault.azure.net/.default"
        && asked.header("content-type") == "application/x-www-form-urlencoded";
    let proves = field("client_secret") == CLIENT_SECRET
        || field("client_assertion") == "token-of-the-workload"
        || client.is_some_and(|client| is_signed(field("client_assertion"), client, url));
    if asks && proves {
        return token();
    }
    let description = format!("AADSTS7000215: Invalid client secret provided: {}", asked.body);
    Told::json(401, &json!({ "error": "invalid_client", "error_description": description }))
}

/// Whether the assertion is one of the client, for us, and signed with its certificate's key.
fn is_signed(assertion: &str, client: &Issued, url: &str) -> bool {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts[..] else { return false };
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let json = |part: &str| serde_json::from_slice::<Value>(&bytes(part)).unwrap_or_default();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &client.certificate));
    let (about, says) = (json(header), json(claims));
    let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, client.key.public_key_raw());
    about["alg"] == "PS256"
        && about["x5t#S256"] == thumbprint.as_str()
        && says["aud"] == format!("{url}/the-tenant/oauth2/v2.0/token")
        && says["iss"] == "the-client"
        && says["sub"] == "the-client"
        && says["exp"].as_u64() > says["nbf"].as_u64()
        && key.verify(format!("{header}.{claims}").as_bytes(), &bytes(signature)).is_ok()
}

fn identity(asked: &Asked, version: &str) -> Told {
    let asks = |name: &str| asked.query.get(name).map_or("", String::as_str);
    match (asks("api-version") == version, asks("resource"), asks("client_id")) {
        (true, "https://vault.azure.net", "" | "the-identity") => token(),
        _ => Told::json(400, &json!({ "error": "invalid_request", "error_description": "Identity not found" })),
    }
}

/// Two secrets a page.
fn vault(asked: &Asked, url: &str, listed: &[Listed]) -> Told {
    if asked.header("authorization") != format!("Bearer {ACCESS_TOKEN}") {
        return Told::json(401, &json!({ "error": { "code": "Unauthorized", "message": "AKV10000" } }));
    }
    if asked.query.get("api-version").is_none_or(|version| version != "7.4") {
        return Told::json(400, &json!({ "error": { "code": "BadParameter", "message": "api-version" } }));
    }
    if asked.path == SECRETS {
        let start: usize = asked.query.get("$skiptoken").and_then(|start| start.parse().ok()).unwrap_or(0);
        let page: Vec<Value> = listed.iter().skip(start).take(2).map(|(name, attributes)| {
            json!({ "id": format!("{url}/secrets/{name}"), "attributes": attributes, "tags": {} })
        }).collect();
        let next =
            (start + 2 < listed.len()).then(|| format!("{url}/secrets?api-version=7.4&$skiptoken={}", start + 2));
        return Told::json(200, &json!({ "value": page, "nextLink": next }));
    }
    let name = asked.path.trim_start_matches("/secrets/");
    let value = match name {
        "Connections--OktaExportFulfillment--ApiKey" => API_KEY,
        "Connections--OktaExportFulfillment--Tables--1" => "groups",
        _ => "users",
    };
    match listed.iter().find(|(listed, _)| *listed == name) {
        Some((_, attributes)) if attributes["enabled"] != false => Told::json(
            200,
            &json!({ "value": value, "id": format!("{url}/secrets/{name}/1"), "attributes": attributes }),
        ),
        Some(_) => Told::json(403, &json!({ "error": { "code": "Forbidden", "message": "disabled" } })),
        None => Told::json(404, &json!({ "error": { "code": "SecretNotFound", "message": name } })),
    }
}

fn secrets() -> Vec<Listed> {
    let enabled = || json!({ "enabled": true, "created": 1_493_938_410, "recoveryLevel": "Recoverable" });
    vec![
        ("backup-key", enabled()),
        ("Connections--OktaExportFulfillment--Tables--0", enabled()),
        ("Connections--OktaExportFulfillment--Tables--1", enabled()),
        ("Connections--OktaExportFulfillment--MaxConcurrency", json!({ "enabled": false })),
        ("Connections--OktaExportFulfillment--AppFilter", json!({ "enabled": true, "exp": 1_000_000_000 })),
        ("Connections--OktaExportFulfillment--UserFilter", json!({ "enabled": true, "nbf": 32_000_000_000_u64 })),
        ("Connections--OktaExportFulfillment--ApiKey", enabled()),
    ]
}

fn api_key() -> Vec<Listed> {
    vec![("Connections--OktaExportFulfillment--ApiKey", json!({ "enabled": true }))]
}

#[test]
fn a_client_secret_reads_the_secrets_that_are_settings_and_usable() {
    let vault = Vault::start(secrets(), None);
    let mut settings = vault.with_client();
    settings["ClientSecret"] = json!(CLIENT_SECRET);
    let agent = agent("AzureKeyVault", &settings);
    let report =
        run(&agent, &[], &["export", "OktaExportFulfillment", "--format", "json"], &[CLIENT_SECRET, ACCESS_TOKEN]);
    let report = report.must_exit(0);
    for (name, why) in
        [("MaxConcurrency", "is disabled"), ("AppFilter", "has expired"), ("UserFilter", "is not valid yet")]
    {
        let warning = format!("the secret `Connections--OktaExportFulfillment--{name}` {why} and is left out");
        assert!(report.stderr.contains(&warning), "{}", report.stderr);
    }
    let tables: Vec<String> = report.json()["tables"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(tables, ["users", "groups"]);
    assert!(vault.server.asked().iter().all(|asked| !asked.path.contains("backup-key")), "it is no setting");
}

#[test]
fn a_certificate_signs_instead_of_a_client_secret() {
    let client = Arc::new(Authority::new("authority").issue_rsa("the-client"));
    let vault = Vault::start(api_key(), Some(Arc::clone(&client)));
    let mut settings = vault.with_client();
    settings["ClientCertificate"] = json!("client.pem");
    let agent = agent("KeyVault", &settings);
    agent.write("client.pem", &client.pem);
    let key = client.key.serialize_pem();
    let secret = key.lines().nth(2).unwrap();
    assert_works(&agent, &[], &[ACCESS_TOKEN, secret]);

    // The same as PFX, which is told by its contents, not by its name.
    agent.write("client.pem", &client.pem);
    client.write_pfx(&agent.directory().join("client.pem"), "the-password");
    assert_refused(&agent, &[], &[], 3, &["`KeyVault:ClientCertificate` names a file that cannot be opened"]);
    assert_works(&agent, &[("KeyVault__ClientCertificatePassword", "the-password")], &[ACCESS_TOKEN, "the-password"]);

    let other = Authority::new("authority").issue_rsa("the-client");
    agent.write("client.pem", &other.pem);
    assert_refused(&agent, &[], &[ACCESS_TOKEN], 4, &["asking for a token: it is refused (401)"]);
    agent.write("client.pem", &Authority::new("authority").issue("the-client").pem);
    assert_refused(&agent, &[], &[], 3, &["`KeyVault:ClientCertificate` names a certificate whose key cannot sign"]);
    agent.write("client.pem", "none");
    assert_refused(
        &agent,
        &[],
        &[],
        3,
        &["`KeyVault:ClientCertificate` names a file that is neither a PFX nor a PEM file"],
    );
}

#[test]
fn the_identity_of_the_machine_is_enough() {
    let vault = Vault::start(api_key(), None);
    let machine = agent("AzureKeyVault", &vault.settings());
    let imds = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", vault.server.url.as_str());
    assert_works(&machine, &[imds], &[ACCESS_TOKEN]);
    assert_works(&machine, &[imds, ("AZURE_CLIENT_ID", "the-identity")], &[ACCESS_TOKEN]);
    let texts = ["asking for a token of the managed identity: it is refused (400)"];
    assert_refused(&machine, &[imds, ("AZURE_CLIENT_ID", "another")], &[], 4, &texts);

    let endpoint = format!("{}/msi/token", vault.server.url);
    let service = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "853b9a84")];
    assert_works(&machine, &service, &[ACCESS_TOKEN]);
}

#[test]
fn the_variables_of_azures_own_libraries_count() {
    let vault = Vault::start(api_key(), None);
    let agent = agent("AzureKeyVault", &vault.settings());
    let client = [
        ("AZURE_TENANT_ID", "the-tenant"),
        ("AZURE_CLIENT_ID", "the-client"),
        ("AZURE_AUTHORITY_HOST", vault.server.url.as_str()),
    ];
    assert_works(&agent, &[&client[..], &[("AZURE_CLIENT_SECRET", CLIENT_SECRET)]].concat(), &[CLIENT_SECRET]);
    agent.write("workload-token", "token-of-the-workload\n");
    let file = agent.directory().join("workload-token");
    let file = [("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
    assert_works(&agent, &[&client[..], &file].concat(), &["token-of-the-workload"]);
}

#[test]
fn what_azure_refuses_is_told_with_its_remedy() {
    let vault = Vault::start(api_key(), None);
    let mut settings = vault.with_client();
    settings["ClientSecret"] = json!("00wrongSecret");
    let wrong = agent("AzureKeyVault", &settings);
    let texts = [vault.server.url.as_str(), "asking for a token: it is refused (401)", "`ClientId`"];
    assert_refused(&wrong, &[], &["00wrongSecret"], 4, &texts);

    settings["ClientSecret"] = json!(CLIENT_SECRET);
    let right = agent("AzureKeyVault", &settings);
    *vault.refused.lock().unwrap() = vec![SECRETS];
    assert_refused(
        &right,
        &[],
        &[CLIENT_SECRET],
        4,
        &["listing the secrets: the vault refuses it (403)", "Secrets User"],
    );
    *vault.refused.lock().unwrap() = vec!["/secrets/Connections--OktaExportFulfillment--ApiKey"];
    let texts = ["reading `Connections--OktaExportFulfillment--ApiKey`: the vault refuses it (403)"];
    assert_refused(&right, &[], &[CLIENT_SECRET], 4, &texts);

    settings["TenantId"] = json!("other");
    let other = agent("AzureKeyVault", &settings);
    assert_refused(&other, &[], &[CLIENT_SECRET], 4, &["asking for a token"]);
    settings["TenantId"] = Value::Null;
    let without = agent("AzureKeyVault", &settings);
    assert_refused(&without, &[], &[CLIENT_SECRET], 3, &["`AzureKeyVault:TenantId` is missing"]);
}

#[test]
fn a_page_elsewhere_and_a_list_that_is_none_are_refused() {
    for (list, secret) in [
        (json!({ "value": [], "nextLink": "http://127.0.0.1:9/secrets" }).to_string(), ACCESS_TOKEN),
        (format!("[{API_KEY}"), API_KEY),
    ] {
        let server = Server::plain(move |asked| match asked.path.as_str() {
            SECRETS => Told::Text(200, list.clone()),
            _ => token(),
        });
        let agent = agent("AzureKeyVault", &json!({ "Vault": server.url }));
        let imds = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.url.as_str())];
        assert_refused(&agent, &imds, &[secret], 3, &["listing the secrets: the answer is none of such a vault"]);
    }
}
