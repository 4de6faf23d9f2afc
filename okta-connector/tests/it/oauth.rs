//! Signing in as a service app: the sandbox checks every signature, nonce, scope and identifier that the connector sends.

use std::{collections::BTreeMap, time::Duration};

use connector_api::{
    ChangeType, ConnectionSettings, Connector, Error, ErrorKind, ProvisioningOrder, Result, conformance,
};
use futures::TryStreamExt;
use okta_connector::OktaConnector;
use okta_sandbox::{Exchange, Fault, FaultAction, KeyPair, SandboxConfig, Seed, ServiceApp};
use serde_json::{Value, json};

use crate::{
    TABLES, World, assert_same, export_all,
    scripted::{Answer, Scripted},
    table, table_of, tables,
};

const CLIENT_ID: &str = "0oa1agent";
const TOKEN_PATH: &str = "/oauth2/v1/token";

/// An organisation with a service app, and the app's key.
struct Org {
    world: World,
    key: KeyPair,
}

impl Org {
    /// With an RSA key and the sandbox's default app, changed.
    async fn new(change: impl FnOnce(ServiceApp) -> ServiceApp) -> Self {
        let config = SandboxConfig { seed: Seed::exact(450, 12, 5, 40), ..Default::default() };
        Self::with(config, KeyPair::rsa("key-1"), change).await
    }

    async fn with(config: SandboxConfig, key: KeyPair, change: impl FnOnce(ServiceApp) -> ServiceApp) -> Self {
        let world = World::with(config).await;
        let app = change(ServiceApp::new(CLIENT_ID, key.jwk()));
        world.sandbox.with_org(|org| org.add_service_app(app)).expect("the app is good");
        Self { world, key }
    }

    fn connector(&self, more: &[(&str, &str)]) -> OktaConnector {
        self.open(&self.key.private_pem(), more).expect("the settings are good")
    }

    fn open(&self, key: &str, more: &[(&str, &str)]) -> Result<OktaConnector> {
        let id = "OktaExport".parse().expect("the identifier is good");
        let settings = ConnectionSettings::new(id)
            .with("Server", self.world.sandbox.url())
            .with("ClientId", CLIENT_ID)
            .with("PrivateKey", key);
        let settings = more.iter().fold(settings, |settings, (key, value)| settings.with(*key, *value));
        OktaConnector::open_with_clock(&settings, self.world.shared_clock())
    }

    /// The status of each request for a token so far.
    fn sign_ins(&self) -> Vec<u16> {
        self.exchanges(|exchange| exchange.path == TOKEN_PATH).iter().map(|exchange| exchange.status).collect()
    }

    /// How many requests to the API were answered so.
    fn answered(&self, status: u16) -> usize {
        self.exchanges(|exchange| exchange.path.starts_with("/api/") && exchange.status == status).len()
    }

    fn exchanges(&self, which: impl Fn(&Exchange) -> bool) -> Vec<Exchange> {
        self.world.sandbox.journal().into_iter().filter(which).collect()
    }

    /// Exports all tables and compares them with the organisation.
    async fn assert_exports(&self, connector: &OktaConnector, when: &str) {
        let tables = tables(&TABLES);
        let expected = self.world.expected(&tables).await;
        let found = export_all(connector, &tables).await.unwrap_or_else(|error| panic!("{when}: {}", told(&error)));
        assert_same(&found, &expected, when);
    }

    async fn export_error(&self, connector: &OktaConnector) -> Error {
        export_all(connector, &tables(&TABLES)).await.expect_err("the export is refused")
    }
}

fn told(error: &Error) -> String {
    format!("{error}; {}", error.hint().unwrap_or_default())
}

#[tokio::test]
async fn an_app_exports_with_one_token_whatever_its_key() {
    for key in [KeyPair::rsa("key-1"), KeyPair::ec("key-1")] {
        let org = Org::with(SandboxConfig::default(), key, |app| app).await;
        let connector = org.connector(&[("KeyId", "key-1")]);
        org.assert_exports(&connector, org.key.algorithm()).await;
        assert_eq!(org.sign_ins(), [400, 200], "one request for the nonce, one for the token");
        assert_eq!(org.answered(401), 0);
        assert_eq!(connector.traffic().by_bucket[TOKEN_PATH].requests, 2, "they are counted");
    }
}

#[tokio::test]
async fn an_app_carries_out_orders_with_proofs_of_its_own() {
    let org = Org::new(|app| app).await;
    let connector = org.connector(&[]);
    let values = json!({"profile.login": "ada@example.com", "profile.email": "ada@example.com",
        "profile.firstName": "Ada", "profile.lastName": "Lovelace"});
    let Value::Object(values) = values else { panic!("values are an object") };
    let mut added = ProvisioningOrder::new("1", ChangeType::Added, "users");
    added.values = values.into_iter().collect();
    added.unique = vec!["profile.login".to_owned()];
    conformance::check_orders(&connector, &added, ("profile.city", json!("Oslo"))).await;
    assert_eq!(org.answered(401), 0);
    // Whoever is no user has no account to protect.
    assert!(org.exchanges(|exchange| exchange.path == "/api/v1/users/me").is_empty());
}

#[tokio::test]
async fn an_app_without_dpop_exports_with_bearer_tokens() {
    let org = Org::new(ServiceApp::bearer).await;
    org.assert_exports(&org.connector(&[("DPoP", "off")]), "off").await;
    assert_eq!(org.sign_ins(), [200]);
    // A proof that nobody requires is taken all the same.
    org.assert_exports(&org.connector(&[]), "auto").await;
    assert_eq!(org.answered(401), 0);
}

#[tokio::test]
async fn an_app_that_requires_dpop_says_so_to_one_that_has_it_off() {
    let org = Org::new(|app| app).await;
    let error = org.export_error(&org.connector(&[("DPoP", "off")])).await;
    assert_eq!((error.kind(), error.setting_key()), (ErrorKind::Settings, Some("DPoP")), "{}", told(&error));
    assert!(told(&error).contains("requires DPoP") && told(&error).contains("auto"), "{}", told(&error));
}

#[tokio::test]
async fn a_token_without_dpop_is_not_used_where_it_is_demanded() {
    let server =
        Scripted::start(|_, _| Answer::json(200, r#"{"token_type":"Bearer","expires_in":3600,"access_token":"00a"}"#))
            .await;
    let settings = ConnectionSettings::new("OktaExport".parse().unwrap())
        .with("Server", server.url.as_str())
        .with("ClientId", CLIENT_ID)
        .with("PrivateKey", KeyPair::ec("key-1").private_pem())
        .with("DPoP", "on");
    let connector = OktaConnector::open_with_clock(&settings, server.shared_clock()).unwrap();
    let error = export_all(&connector, &[table("apps")]).await.unwrap_err();
    assert_eq!((error.kind(), error.setting_key()), (ErrorKind::Settings, Some("DPoP")), "{}", told(&error));
    assert_eq!(server.heads().len(), 1, "nothing was sent with it");
}

#[tokio::test]
async fn nonces_are_obeyed_at_the_token_endpoint_and_at_the_api() {
    let org = Org::new(|app| app).await;
    org.world.sandbox.with_org(|org| org.require_api_nonce(true));
    let connector = org.connector(&[]);
    org.assert_exports(&connector, "demanded").await;
    assert_eq!(org.answered(401), 0, "the nonce of the token endpoint is good for the API");

    // Between two exports all nonces end; then in mid-export.
    org.world.sandbox.with_org(|org| org.forget_dpop_nonces());
    org.assert_exports(&connector, "forgotten").await;
    assert!((1..=12).contains(&org.answered(401)), "{}", org.answered(401));
    assert_eq!(org.sign_ins(), [0_u16; 0], "the token is still good");

    let expected = org.world.expected(&tables(&TABLES)).await;
    let tables = tables(&TABLES);
    let mut stream = connector.export(&tables);
    let mut records = 0;
    while let Some(batch) = stream.try_next().await.unwrap() {
        records += batch.records.len();
        org.world.sandbox.with_org(|org| org.rotate_dpop_nonce());
    }
    let all: usize = expected.values().map(BTreeMap::len).sum();
    assert_eq!(records, all);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_export_is_renewed_before() {
    let config = SandboxConfig { seed: Seed::exact(300, 200, 5, 2), ..Default::default() };
    let mut org = Org::with(config, KeyPair::rsa("key-1"), |app| app).await;
    // Each request takes so long that the export lasts for hours.
    org.world.tick = Duration::from_secs(5);
    org.assert_exports(&org.connector(&[]), "slow").await;
    let lasted = crate::since_start(&org.world.clock).as_secs() / 3600;
    let renewals = u64::try_from(org.sign_ins().iter().filter(|status| **status == 200).count()).unwrap();
    assert!(lasted >= 1 && renewals > lasted, "{renewals} tokens in {lasted} hours");
    assert_eq!(org.answered(401), 0, "no token was used after its end");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_not_forever() {
    let org = Org::new(|app| app).await;
    let connector = org.connector(&[]);
    let apps = [table("apps")];
    org.assert_exports(&connector, "at first").await;
    org.world.sandbox.with_org(|org| org.end_access_tokens());
    org.assert_exports(&connector, "ended").await;
    assert_eq!(org.sign_ins().iter().filter(|status| **status == 200).count(), 1, "{:?}", org.sign_ins());

    org.world.sandbox.clear_journal();
    let refused = FaultAction::Error { status: 401, code: "E0000011".to_owned() };
    org.world.sandbox.add_fault(Fault::new(refused).on("GET", "/api/v1/apps").always());
    let error = export_all(&connector, &apps).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
    assert!(!told(&error).contains("ApiKey"), "{}", told(&error));
    assert_eq!(org.sign_ins(), [200], "one more token, and no third");
    assert!(org.answered(401) <= 3, "{}", org.answered(401));

    // 401 by its status, but about a feature of the organisation.
    org.world.sandbox.clear_faults();
    org.world.sandbox.clear_journal();
    let lacking = FaultAction::Error { status: 401, code: "E0000015".to_owned() };
    org.world.sandbox.add_fault(Fault::new(lacking).on("GET", "/api/v1/apps").always());
    let error = export_all(&connector, &apps).await.unwrap_err();
    assert_eq!((error.kind(), org.sign_ins().len(), org.answered(401)), (ErrorKind::Rejected, 0, 1));
}

#[tokio::test]
async fn each_attempt_has_a_proof_and_an_assertion_of_its_own() {
    let org = Org::new(|app| app).await;
    let sandbox = &org.world.sandbox;
    let expected = org.world.expected(&tables(&TABLES)).await;
    // The work was done and the identifiers are used up: what is sent again must be new.
    sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", TOKEN_PATH).nth(2).times(2));
    sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("GET", "/api/v1/users").nth(2));
    sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/groups").nth(3));
    sandbox.add_fault(Fault::new(FaultAction::RateLimit429).on("GET", "/api/v1/apps").nth(2));
    let connector = org.connector(&[]);
    let found = export_all(&connector, &tables(&TABLES)).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_same(&found, &expected, "struck");
    assert_eq!(sandbox.faults_hit(), 5);
    assert_eq!(org.answered(401), 0, "no identifier was sent twice");
    assert_eq!(org.sign_ins(), [400, 0, 0, 200]);
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_waited_for_and_no_longer_than_patience_lasts() {
    let org = Org::new(|app| app).await;
    org.world.sandbox.add_fault(Fault::new(FaultAction::RateLimit429).on("POST", TOKEN_PATH));
    org.world.sandbox.add_fault(Fault::new(FaultAction::Html(502)).on("POST", TOKEN_PATH).nth(2));
    org.assert_exports(&org.connector(&[]), "away for a while").await;

    org.world.sandbox.add_fault(Fault::new(FaultAction::Html(502)).on("POST", TOKEN_PATH).always());
    let error = export_all(&org.connector(&[]), &[table("apps")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", told(&error));

    org.world.sandbox.clear_faults();
    let elsewhere = FaultAction::Redirect("https://elsewhere.example/oauth2/v1/token".to_owned());
    org.world.sandbox.add_fault(Fault::new(elsewhere).on("POST", TOKEN_PATH).always());
    let error = export_all(&org.connector(&[]), &[table("apps")]).await.unwrap_err();
    assert_eq!(error.setting_key(), Some("Server"), "{}", told(&error));
}

#[tokio::test]
async fn an_export_needs_the_scopes_of_its_tables_alone() {
    let org = Org::new(|app| app.scopes(&["okta.users.read", "okta.groups.read"])).await;
    let some = tables(&["users", "groups", "groupsusers"]);
    let expected = org.world.expected(&some).await;
    assert_same(&export_all(&org.connector(&[]), &some).await.unwrap(), &expected, "two scopes");
    assert_eq!(org.sign_ins(), [400, 200]);

    let error = org.export_error(&org.connector(&[])).await;
    assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
    assert!(error.to_string().contains("asked for okta.apps.read"), "the one that is missing: {}", told(&error));
    assert!(told(&error).contains("Okta API Scopes"), "{}", told(&error));

    // A column that the schema alone knows does not end an export that may not read the schema.
    let custom = [table_of("users", &["id", "profile.badgeNumber"])];
    let expected = org.world.expected(&custom).await;
    assert_same(&export_all(&org.connector(&[]), &custom).await.unwrap(), &expected, "without schemas");
}

#[tokio::test]
async fn check_names_the_scope_that_is_missing_table_by_table() {
    let org = Org::new(|app| app.scopes(&["okta.users.read", "okta.groups.read"])).await;
    let report = org.connector(&[]).test_connection(&tables(&TABLES)).await.unwrap();
    let readable: Vec<bool> = report.tables.iter().map(|(_, readable)| *readable).collect();
    assert_eq!(readable, [true, true, false, true, false], "{report:?}");
    for problem in &report.problems {
        assert!(problem.message.contains("okta.apps.read"), "{}", problem.message);
        assert!(problem.hint.contains("Okta API Scopes"), "{}", problem.hint);
    }
}

#[tokio::test]
async fn scopes_that_are_set_are_asked_for_and_no_others() {
    let org = Org::new(|app| app.scopes(&["okta.users.manage", "okta.groups.manage", "okta.apps.manage"])).await;
    let scopes = "okta.users.manage, okta.groups.manage okta.apps.manage";
    let connector = org.connector(&[("Scopes", scopes)]);
    org.assert_exports(&connector, "manage").await;
    assert_eq!(org.sign_ins(), [400, 200]);
    let error = org.export_error(&org.connector(&[("Scopes", "okta.logs.read")])).await;
    assert!(error.to_string().contains("asked for okta.logs.read"), "{}", told(&error));
}

#[tokio::test]
async fn a_wrong_key_or_app_is_told_at_once() {
    let org = Org::new(|app| app).await;
    let other = KeyPair::rsa("key-1");
    for (key, more) in [
        (other.private_pem(), &[][..]),
        (org.key.private_pem(), &[("ClientId", "0oa1nobody")]),
        (org.key.private_pem(), &[("KeyId", "key-9")]),
    ] {
        org.world.sandbox.clear_journal();
        let connector = org.open(&key, more).unwrap();
        let error = connector.test_connection(&tables(&TABLES)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
        for word in ["`ClientId`", "`PrivateKey`", "`KeyId`", "clock"] {
            assert!(told(&error).contains(word), "{word}: {}", told(&error));
        }
        assert!(org.sign_ins().len() <= 2, "{:?}", org.sign_ins());
        assert_eq!(org.answered(401), 0, "nothing was sent without a token");
    }
}

#[tokio::test]
async fn an_app_without_an_admin_role_is_named_for_what_it_is() {
    let org = Org::new(ServiceApp::without_admin_role).await;
    let report = org.connector(&[]).test_connection(&tables(&TABLES)).await.unwrap();
    assert!(report.tables.iter().all(|(_, readable)| !readable), "{report:?}");
    for problem in &report.problems {
        assert!(problem.hint.contains("admin role"), "{problem:?}");
    }
    assert!(report.problems[0].message.contains("no admin role"), "{:?}", report.problems[0]);
    for names in [&["users"][..], &TABLES] {
        let error = export_all(&org.connector(&[]), &tables(names)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
        assert!(told(&error).contains("grant the app an admin role"), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_clock_that_is_minutes_off_follows_the_servers() {
    for skew_seconds in [-5_400, 5_400] {
        for require_dpop in [true, false] {
            let config = SandboxConfig { skew_seconds, ..Default::default() };
            let change = |app: ServiceApp| if require_dpop { app } else { app.bearer() };
            let org = Org::with(config, KeyPair::ec("key-1"), change).await;
            let dpop = if require_dpop { "on" } else { "off" };
            org.assert_exports(&org.connector(&[("DPoP", dpop)]), &format!("{skew_seconds} s, DPoP {dpop}")).await;
            assert!(org.sign_ins().len() <= 3, "{:?}", org.sign_ins());
            assert_eq!(org.answered(401), 0);
        }
    }
}

#[tokio::test]
async fn keys_are_taken_in_every_form_okta_and_openssl_give() {
    let org = Org::new(|app| app).await;
    let pem = org.key.private_pem();
    for key in [pem.replace('\n', "\\n"), pem.replace('\n', "\r\n"), pem.replace('\n', " "), format!("\n {pem} \n")] {
        let connector = org.open(&key, &[]).unwrap_or_else(|error| panic!("{}", told(&error)));
        export_all(&connector, &[table("apps")]).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    }
    assert!(org.key.jwk().get("d").is_none(), "the sandbox shows public keys alone");
    let public: Value = org.key.jwk();
    let error = org.open(&public.to_string(), &[]).err().expect("a public key signs nothing");
    assert!(told(&error).contains("public half"), "{}", told(&error));
}
