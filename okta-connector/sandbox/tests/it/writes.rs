//! Writes from outside: what each does, what it refuses, and what the journal says of its effect.

use std::time::Duration;

use okta_sandbox::{Clock, Exchange, Fault, FaultAction, Sandbox, SandboxConfig, Seed, Status};
use serde_json::{Value, json};

use crate::client::{Reply, ask, get, person, post, send, started};

const TOKEN: &str = "Authorization: SSWS sandbox-token\r\n";

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["errorCode"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn status(sandbox: &Sandbox, user: &str) -> Option<Status> {
    sandbox.with_org(|org| org.user_status(user))
}

/// Method and path of each write that changed something.
fn effects(sandbox: &Sandbox) -> Vec<String> {
    sandbox.effects().iter().map(|exchange| format!("{} {}", exchange.method, exchange.path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_user_ends_in_the_documented_status() {
    let sandbox = started(Seed::exact(1, 2, 0, 0)).await;
    let mut number = 0;
    let mut create = |query: &str, over: Value| {
        number += 1;
        let mut body = person(&format!("new{number}@example.com"));
        over.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        ask(&sandbox, "POST", &format!("/api/v1/users{query}"), &body)
    };
    let none = json!({"credentials": {}});
    let federated = json!({"credentials": {"provider": {"type": "FEDERATION", "name": "FEDERATION"}}});
    for (query, over, expected) in [
        ("?activate=false", none.clone(), "STAGED"),
        ("?activate=true", none.clone(), "PROVISIONED"),
        ("", json!({}), "ACTIVE"),
        ("?activate=true&nextLogin=changePassword", json!({}), "PASSWORD_EXPIRED"),
        ("?provider=true", federated.clone(), "ACTIVE"),
        ("", federated, "PROVISIONED"),
    ] {
        let made = create(query, over.clone());
        assert_eq!((made.status, &made.json()["status"]), (200, &json!(expected)), "{query} {over}");
    }
    assert_eq!(code(&create("?nextLogin=changePassword", none)), refused(400, "E0000124"));
    assert_eq!(code(&create("?activate=false&nextLogin=changePassword", json!({}))), refused(400, "E0000125"));
    let groups = sandbox.with_org(|org| org.group_ids());
    let made = create("", json!({"groupIds": [groups[1]]})).json();
    assert!(sandbox.with_org(|org| org.has_member(&groups[1], made["id"].as_str().unwrap())));
    assert_eq!(code(&create("", json!({"groupIds": [groups[0]]}))), refused(403, "E0000006"), "Everyone");
    assert_eq!(code(&create("", json!({"groupIds": ["00gnone"]}))), refused(404, "E0000007"));
    assert_eq!(code(&create("", json!({"type": {"id": "otynone"}}))), refused(404, "E0000007"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_taken_whatever_its_case_and_accents() {
    let sandbox = started(Seed::exact(1, 1, 0, 0)).await;
    assert_eq!(ask(&sandbox, "POST", "/api/v1/users", &person("jürgen.łuç@example.com")).status, 200);
    for login in ["JÜRGEN.ŁUÇ@example.com", "jurgen.luc@EXAMPLE.com"] {
        let again = ask(&sandbox, "POST", "/api/v1/users", &person(login));
        assert_eq!(code(&again), refused(400, "E0000001"));
        let cause = again.json()["errorCauses"][0]["errorSummary"].as_str().unwrap().to_owned();
        assert_eq!(cause, "login: An object with this field already exists in the current organization");
    }
    assert_eq!(get(&sandbox, "/api/v1/users/jurgen.luc%40example.com").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_must_fit_the_schema() {
    let sandbox = started(Seed::exact(1, 1, 0, 0)).await;
    sandbox.with_org(|org| {
        org.add_user_attribute("size", json!({"type": "string", "enum": ["S", "M"]}));
        org.add_user_attribute("badge", json!({"type": "string", "mutability": "READ_ONLY"}));
        org.add_user_attribute("codes", json!({"type": "array", "items": {"type": "integer"}}));
    });
    ask(&sandbox, "POST", "/api/v1/users", &person("ada@example.com"));
    let change =
        |profile: Value| code(&ask(&sandbox, "POST", "/api/v1/users/ada@example.com", &json!({"profile": profile})));
    for bad in [
        json!({"nowhere": "x"}),
        json!({"firstName": ""}),
        json!({"lastName": null}),
        json!({"firstName": "x".repeat(51)}),
        json!({"city": 7}),
        json!({"size": "L"}),
        json!({"codes": ["1"]}),
        json!({"city": "Oslo 😀"}),
        json!({"countryCode": "NOR"}),
        json!({"email": "nobody"}),
    ] {
        assert_eq!(change(bad.clone()), refused(400, "E0000001"), "{bad}");
    }
    assert_eq!(change(json!({"badge": "B1"})), refused(403, "E0000077"));
    assert_eq!(change(json!({"size": "M", "codes": [1], "countryCode": "NO"})), refused(200, ""));
    sandbox.with_org(|org| org.add_user_attribute("unit", json!({"type": "string", "required": true})));
    assert_eq!(change(json!({"city": "Oslo"})), refused(400, "E0000001"), "unit is required now");
    assert_eq!(change(json!({"city": "Oslo", "unit": "U"})), refused(200, ""));
    sandbox.with_org(|org| org.set_provider("ada@example.com", "ACTIVE_DIRECTORY"));
    assert_eq!(change(json!({"city": "Bergen"})), refused(403, "E0000023"));
    assert_eq!(change(json!({"city": "Oslo"})), refused(200, ""), "nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn post_changes_what_it_names_and_put_replaces_type_and_all() {
    let sandbox = started(Seed::exact(1, 1, 0, 0)).await;
    let kind =
        ask(&sandbox, "POST", "/api/v1/meta/types/user", &json!({"name": "guest", "displayName": "Guest"})).json();
    let user = ask(&sandbox, "POST", "/api/v1/users", &person("ada@example.com")).json();
    let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap());
    ask(&sandbox, "POST", &path, &json!({"profile": {"city": "Oslo", "title": "Dr", "nickName": ""}}));
    let partial = json!({"type": {"id": kind["id"]}, "profile": {"title": null}});
    let changed = ask(&sandbox, "POST", &path, &partial).json();
    assert_eq!((&changed["type"], &changed["profile"]["city"]), (&user["type"], &json!("Oslo")), "no type by POST");
    assert!(changed["profile"].get("title").is_none());
    let mut whole = json!({"type": {"id": kind["id"]}, "profile": user["profile"]});
    whole["profile"]["city"] = "Rome".into();
    let replaced = ask(&sandbox, "PUT", &path, &whole).json();
    assert_eq!((&replaced["type"]["id"], &replaced["profile"]["city"]), (&kind["id"], &json!("Rome")));
    assert!(replaced["profile"].get("nickName").is_none());
    post(&sandbox, &format!("{path}/lifecycle/deactivate"));
    assert_eq!(code(&ask(&sandbox, "POST", &path, &partial)), refused(403, "E0000038"));
    sandbox.with_org(|org| org.deactivated_updatable = true);
    assert_eq!(ask(&sandbox, "POST", &path, &partial).status, 200);
}

/// The table of status and step; `?` of the documentation is what this sandbox decided.
#[tokio::test(flavor = "multi_thread")]
async fn each_status_allows_its_steps_and_no_others() {
    const STEPS: [&str; 8] =
        ["activate", "reactivate", "deactivate", "suspend", "unsuspend", "unlock", "reset_password", "expire_password"];
    let table = [
        (Status::Staged, [200, 403, 200, 400, 400, 403, 403, 403]),
        (Status::Provisioned, [403, 200, 200, 400, 400, 403, 403, 403]),
        (Status::Active, [403, 403, 200, 200, 400, 403, 200, 200]),
        (Status::Recovery, [403, 200, 200, 400, 400, 403, 200, 200]),
        (Status::PasswordExpired, [403, 403, 200, 400, 400, 403, 200, 200]),
        (Status::LockedOut, [403, 403, 200, 400, 400, 200, 200, 403]),
        (Status::Suspended, [403, 403, 200, 400, 200, 403, 403, 403]),
        (Status::Deprovisioned, [200, 403, 403, 400, 400, 403, 403, 403]),
    ];
    let sandbox = started(Seed::exact(2, 1, 0, 0)).await;
    let user = sandbox.with_org(|org| org.user_ids()[1].clone());
    for (before, answers) in table {
        for (step, expected) in STEPS.into_iter().zip(answers) {
            sandbox.with_org(|org| org.set_user_status(&user, before));
            let reply = post(&sandbox, &format!("/api/v1/users/{user}/lifecycle/{step}?sendEmail=false"));
            assert_eq!(reply.status, expected, "{step} on {}", before.as_str());
            let stays = status(&sandbox, &user) == Some(before);
            assert!(expected == 200 || stays, "{step} on {} was refused", before.as_str());
        }
        sandbox.with_org(|org| org.set_user_status(&user, before));
        let gone = ask(&sandbox, "DELETE", &format!("/api/v1/users/{user}"), &Value::Null);
        let left = (before != Status::Deprovisioned).then_some(Status::Deprovisioned);
        assert_eq!((gone.status, status(&sandbox, &user)), (204, left));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivation_and_deletion_can_take_their_time() {
    let clock = Clock::manual(1_760_000_000_000);
    let config = SandboxConfig { clock: clock.clone(), seed: Seed::exact(3, 1, 0, 0), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let ids = sandbox.with_org(|org| org.user_ids());
    let (one, two) = (format!("/api/v1/users/{}", ids[1]), format!("/api/v1/users/{}", ids[2]));
    let background = format!("{TOKEN}Prefer: respond-async\r\n");
    assert_eq!(send(&sandbox, "DELETE", &one, &background, "").unwrap().status, 204);
    let shown = get(&sandbox, &one).json();
    assert_eq!((&shown["status"], &shown["transitioningToStatus"]), (&json!("ACTIVE"), &json!("DEPROVISIONED")));
    assert_eq!(get(&sandbox, &one).json()["status"], "DEPROVISIONED", "one read later");
    sandbox.with_org(|org| org.deactivation_millis = 5000);
    assert_eq!(post(&sandbox, &format!("{two}/lifecycle/deactivate")).status, 200);
    assert_eq!(code(&post(&sandbox, &format!("{two}/lifecycle/suspend"))), refused(409, "E0000112"));
    assert_eq!(ask(&sandbox, "DELETE", &two, &Value::Null).status, 204, "a promise, no more");
    clock.advance(Duration::from_secs(5));
    assert_eq!(get(&sandbox, &two).json()["status"], "DEPROVISIONED");
    assert_eq!(ask(&sandbox, "DELETE", &two, &Value::Null).status, 204);
    assert_eq!(get(&sandbox, &two).status, 200, "204 is no proof");
    clock.advance(Duration::from_secs(5));
    assert_eq!(get(&sandbox, &two).status, 404);
    let deactivate = format!("POST {two}/lifecycle/deactivate");
    assert_eq!(effects(&sandbox), [format!("DELETE {one}"), deactivate, format!("DELETE {two}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_guard_names_kinds_and_rule_made_members() {
    let sandbox = started(Seed::from_json(
        r#"{"users": [{"profile": {"login": "ada@example.com", "firstName": "Ada", "lastName": "L", "department": "IT"}},
                      {"status": "DEPROVISIONED", "profile": {"login": "bob@example.com", "firstName": "Bob", "lastName": "B"}}],
            "groups": [{"profile": {"name": "Own"}}, {"type": "APP_GROUP", "profile": {"name": "Imported"}}]}"#,
    )
    .unwrap())
    .await;
    let id = |name: &str| sandbox.with_org(|org| org.group_id(name)).unwrap();
    let create = |profile: Value| code(&ask(&sandbox, "POST", "/api/v1/groups", &json!({"profile": profile})));
    assert_eq!(create(json!({"name": "Own"})), refused(400, "E0000001"));
    assert_eq!(create(json!({"name": "x".repeat(256)})), refused(400, "E0000001"));
    assert_eq!(create(json!({"name": "😀"})), refused(400, "E0000001"));
    assert_eq!(create(json!({"name": "Imported"})), refused(200, ""), "an imported name is not taken");
    let ada = sandbox.with_org(|org| org.user_ids()[0].clone());
    for name in ["Everyone", "Imported"] {
        let path = format!("/api/v1/groups/{}", id(name));
        let rename = json!({"profile": {"name": "Other"}});
        assert_eq!(code(&ask(&sandbox, "PUT", &path, &rename)), refused(403, "E0000006"), "{name}");
        let member = format!("{path}/users/{ada}");
        assert_eq!(code(&ask(&sandbox, "PUT", &member, &Value::Null)), refused(403, "E0000006"), "{name}");
    }
    let member = |login: &str| format!("/api/v1/groups/{}/users/{login}", id("Own"));
    assert_eq!(code(&ask(&sandbox, "PUT", &member("bob@example.com"), &Value::Null)), refused(403, "E0000038"));
    let rule = json!({"type": "group_rule", "name": "IT",
        "conditions": {"expression": {"value": "user.department==\"IT\"", "type": "urn:okta:expression:1.0"}},
        "actions": {"assignUserToGroups": {"groupIds": [id("Own")]}}});
    let rule = ask(&sandbox, "POST", "/api/v1/groups/rules", &rule).json()["id"].as_str().unwrap().to_owned();
    post(&sandbox, &format!("/api/v1/groups/rules/{rule}/lifecycle/activate"));
    assert!(sandbox.with_org(|org| org.has_member("Own", &ada)));
    assert_eq!(ask(&sandbox, "DELETE", &member(&ada), &Value::Null).status, 204);
    assert!(sandbox.with_org(|org| org.has_member("Own", &ada)), "the rule puts her back");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_application_is_created_replaced_and_deleted() {
    let sandbox = started(Seed::exact(1, 1, 0, 0)).await;
    let url = json!({"app": {"url": "https://example.com"}});
    for (name, mode) in [
        (json!("bookmark"), "BOOKMARK"),
        (json!("template_basic_auth"), "BASIC_AUTH"),
        (json!("template_swa"), "BROWSER_PLUGIN"),
        (json!("template_swa3field"), "BROWSER_PLUGIN"),
        (json!("template_sps"), "SECURE_PASSWORD_STORE"),
        (json!("oidc_client"), "OPENID_CONNECT"),
        (json!("template_wsfed"), "WS_FEDERATION"),
        (Value::Null, "SAML_2_0"),
        (Value::Null, "AUTO_LOGIN"),
    ] {
        let mut request = json!({"label": format!("{name} {mode}"), "signOnMode": mode, "settings": url});
        if !name.is_null() {
            request["name"] = name.clone();
        }
        let made = ask(&sandbox, "POST", "/api/v1/apps", &request);
        assert_eq!((made.status, &made.json()["signOnMode"]), (200, &json!(mode)), "{name}");
        let path = format!("/api/v1/apps/{}", made.json()["id"].as_str().unwrap());
        request["label"] = format!("new {name} {mode}").into();
        let replaced = ask(&sandbox, "PUT", &path, &request).json();
        assert_eq!((&replaced["label"], &replaced["name"]), (&request["label"], &made.json()["name"]));
        assert_eq!(code(&ask(&sandbox, "DELETE", &path, &Value::Null)), refused(403, "E0000056"));
        post(&sandbox, &format!("{path}/lifecycle/deactivate"));
        let inactive = ask(&sandbox, "PUT", &path, &request);
        assert_eq!(inactive.status, if mode == "AUTO_LOGIN" { 400 } else { 200 });
        assert_eq!(ask(&sandbox, "DELETE", &path, &Value::Null).status, 204);
    }
    let create = |body: Value| code(&ask(&sandbox, "POST", "/api/v1/apps", &body));
    assert_eq!(create(json!({"name": "bookmark"})), refused(400, "E0000001"));
    assert_eq!(create(json!({"name": "bookmark", "label": "A", "signOnMode": "SAML_2_0"})), refused(400, "E0000001"));
    assert_eq!(create(json!({"name": "zoomus", "label": "A", "signOnMode": "MAGIC"})), refused(400, "E0000001"));
    sandbox.with_org(|org| org.unique_app_labels = true);
    assert_eq!(create(json!({"name": "bookmark", "label": "A"})), refused(200, ""));
    assert_eq!(create(json!({"name": "bookmark", "label": "A"})), refused(400, "E0000040"));
}

#[tokio::test(flavor = "multi_thread")]
async fn assignments_keep_priority_and_profile_and_freeze_with_their_application() {
    let sandbox = started(Seed::exact(3, 3, 1, 0)).await;
    let (app, groups, users) = sandbox.with_org(|org| (org.app_ids()[0].clone(), org.group_ids(), org.user_ids()));
    let path = format!("/api/v1/apps/{app}");
    let group = format!("{path}/groups/{}", groups[1]);
    ask(&sandbox, "DELETE", &group, &Value::Null);
    let patch = json!([{"op": "replace", "path": "/priority", "value": 9}]);
    assert_eq!(code(&ask(&sandbox, "PATCH", &group, &patch)), refused(404, "E0000007"));
    let assigned = ask(&sandbox, "PUT", &group, &json!({"priority": 7, "profile": {"role": "r"}})).json();
    assert_eq!((&assigned["priority"], &assigned["profile"]["role"]), (&json!(7), &json!("r")));
    assert_eq!(ask(&sandbox, "PATCH", &group, &patch).json()["priority"], 9);
    let all = format!("{path}/users");
    let one = format!("{all}/{}", users[1]);
    assert_eq!(ask(&sandbox, "PUT", &one, &Value::Null).status, 405, "assigned by POST");
    assert_eq!(code(&ask(&sandbox, "POST", &one, &json!({"profile": {}}))), refused(404, "E0000007"));
    let request = json!({"id": users[1], "scope": "USER", "credentials": {"userName": "ada"}, "profile": {"a": "b"}});
    let made = ask(&sandbox, "POST", &all, &request).json();
    assert_eq!((&made["scope"], &made["credentials"]["userName"]), (&json!("USER"), &json!("ada")));
    sandbox.with_org(|org| org.set_user_status(&users[2], Status::Suspended));
    assert_eq!(code(&ask(&sandbox, "POST", &all, &json!({"id": users[2]}))), refused(403, "E0000117"));
    assert_eq!(ask(&sandbox, "DELETE", &one, &Value::Null).status, 204);
    assert_eq!(code(&ask(&sandbox, "DELETE", &one, &Value::Null)), refused(404, "E0000007"));
    sandbox.with_org(|org| org.set_app_active(&app, false));
    for (method, path) in [("PUT", &group), ("DELETE", &group), ("POST", &all)] {
        assert_eq!(code(&ask(&sandbox, method, path, &request)), refused(404, "E0000007"), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_tells_effects_from_repetitions() {
    let sandbox = started(Seed::exact(3, 3, 1, 0)).await;
    let (app, group, user) =
        sandbox.with_org(|org| (org.app_ids()[0].clone(), org.group_ids()[1].clone(), org.user_ids()[1].clone()));
    sandbox.with_org(|org| org.unassign_group(&app, &group));
    let membership = format!("/api/v1/groups/{group}/users/{user}");
    let assignment = format!("/api/v1/apps/{app}/groups/{group}");
    let profile = json!({"profile": {"city": "Elsewhere"}});
    for _ in 0..2 {
        ask(&sandbox, "PUT", &membership, &Value::Null);
        ask(&sandbox, "PUT", &assignment, &json!({"priority": 3}));
        ask(&sandbox, "POST", &format!("/api/v1/users/{user}"), &profile);
        post(&sandbox, &format!("/api/v1/users/{user}/lifecycle/suspend"));
        ask(&sandbox, "POST", "/api/v1/users", &person("ada@example.com"));
        ask(&sandbox, "POST", "/api/v1/apps", &json!({"name": "bookmark", "label": "Wiki"}));
        get(&sandbox, "/api/v1/users");
    }
    ask(&sandbox, "DELETE", &membership, &Value::Null);
    ask(&sandbox, "DELETE", &membership, &Value::Null);
    let expected = [
        format!("PUT {membership}"),
        format!("PUT {assignment}"),
        format!("POST /api/v1/users/{user}"),
        format!("POST /api/v1/users/{user}/lifecycle/suspend"),
        "POST /api/v1/users".to_owned(),
        "POST /api/v1/apps".to_owned(),
        "POST /api/v1/apps".to_owned(),
        format!("DELETE {membership}"),
    ];
    assert_eq!(effects(&sandbox), expected);
    let made: Vec<Exchange> = sandbox.effects().into_iter().filter(|effect| effect.created.is_some()).collect();
    assert_eq!(made.len(), 3);
    assert_eq!(made[0].created, sandbox.with_org(|org| org.user_id("ada@example.com")));
    assert_eq!(Some(&made[0].principal), sandbox.with_org(|org| org.token_id(sandbox.token())).as_ref());
}

/// One write of every route that fulfillment uses.
fn all_writes(sandbox: &Sandbox) -> Vec<(&'static str, String, Value)> {
    let (app, group, user) =
        sandbox.with_org(|org| (org.app_ids()[0].clone(), org.group_ids()[1].clone(), org.user_ids()[1].clone()));
    let (users, groups, apps) = ("/api/v1/users", "/api/v1/groups", "/api/v1/apps");
    vec![
        ("POST", users.to_owned(), person("ada@example.com")),
        ("POST", format!("{users}/{user}"), json!({"profile": {"city": "Elsewhere"}})),
        ("PUT", format!("{users}/{user}"), person("changed@example.com")),
        ("POST", format!("{users}/{user}/lifecycle/expire_password"), Value::Null),
        ("POST", format!("{users}/{user}/lifecycle/deactivate"), Value::Null),
        ("DELETE", format!("{users}/{user}"), Value::Null),
        ("POST", groups.to_owned(), json!({"profile": {"name": "New"}})),
        ("PUT", format!("{groups}/{group}"), json!({"profile": {"name": "Renamed"}})),
        ("PUT", format!("{groups}/{group}/users/admin@example.com"), Value::Null),
        ("DELETE", format!("{groups}/{group}/users/admin@example.com"), Value::Null),
        ("PUT", format!("{apps}/{app}/groups/{group}"), json!({"priority": 5})),
        ("DELETE", format!("{apps}/{app}/groups/{group}"), Value::Null),
        ("POST", format!("{apps}/{app}/users"), json!({"id": "admin@example.com"})),
        ("DELETE", format!("{apps}/{app}/users/admin@example.com"), Value::Null),
        ("POST", apps.to_owned(), json!({"name": "bookmark", "label": "Wiki"})),
        ("PUT", format!("{apps}/{app}"), json!({"label": "Renamed", "signOnMode": "BOOKMARK"})),
        ("POST", format!("{apps}/{app}/lifecycle/deactivate"), Value::Null),
        ("DELETE", format!("{apps}/{app}"), Value::Null),
        ("DELETE", format!("{groups}/{group}"), Value::Null),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_can_fail_before_or_after_it_is_done() {
    let error = || FaultAction::Error { status: 500, code: "E0000009".into() };
    let after = FaultAction::ErrorAfter { status: 500, code: "E0000009".into() };
    for (last, answered) in [(FaultAction::LoseAnswer, None), (after, Some(500))] {
        let sandbox = started(Seed::exact(3, 3, 1, 0)).await;
        let writes = all_writes(&sandbox);
        for (method, path, body) in &writes {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let send = || send(&sandbox, method, path, TOKEN, &body);
            for fault in [FaultAction::ResetConnection, error(), last.clone()] {
                sandbox.add_fault(Fault::new(fault).on(method, path));
                let before = sandbox.effects().len();
                let status = send().map(|reply| reply.status);
                let is_last = sandbox.effects().len() > before;
                assert!(status.is_none() || status == Some(500), "{method} {path}: {status:?}");
                sandbox.clear_faults();
                if is_last {
                    assert_eq!(status, answered, "{method} {path}");
                }
            }
        }
        let journal = sandbox.journal();
        assert_eq!(journal.len(), 3 * writes.len());
        let changed: Vec<bool> = journal.iter().map(|exchange| exchange.changed).collect();
        assert_eq!(changed, [false, false, true].repeat(writes.len()), "{last:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_has_its_effect_or_none_and_the_journal_knows() {
    let sandbox = started(Seed::exact(2, 2, 0, 0)).await;
    let leave = |action: FaultAction, login: &str| {
        sandbox.add_fault(Fault::new(action).on("POST", "/api/v1/users"));
        let body = person(login).to_string();
        let host = sandbox.url().replace("http://", "");
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let head = format!("POST /api/v1/users HTTP/1.1\r\nHost: o\r\nContent-Length: {}\r\n{TOKEN}\r\n", body.len());
        std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes()).unwrap();
        // The fault holds the request for an hour: it was read when the fault was hit.
        while sandbox.faults_hit() == 0 {
            std::thread::yield_now();
        }
        drop(stream);
        sandbox.clear_faults();
    };
    let hour = Duration::from_secs(3600);
    leave(FaultAction::SlowRequest(hour), "early@example.com");
    assert!(sandbox.effects().is_empty());
    assert_eq!(status(&sandbox, "early@example.com"), None);
    let other = started(Seed::exact(2, 2, 0, 0)).await;
    other.add_fault(Fault::new(FaultAction::SlowFirstByte(Duration::from_millis(50))).on("POST", "/api/v1/users"));
    ask(&other, "POST", "/api/v1/users", &person("late@example.com"));
    assert_eq!(effects(&other), ["POST /api/v1/users"]);
}

/// Run with `cargo nextest run --release -p okta-sandbox --run-ignored only --no-capture writes_keep`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: only meaningful in a release build on a quiet machine"]
async fn writes_keep_up_with_two_thousand_a_second() {
    const WRITES: usize = 20_000;
    let latency = Duration::from_millis(30);
    let seed = Seed::exact(10_000, 500, 50, 20);
    let sandbox = Sandbox::start(SandboxConfig { seed, latency, ..SandboxConfig::default() }).await.unwrap();
    let group = sandbox.with_org(|org| org.group_ids()[1].clone());
    let users = sandbox.with_org(|org| org.user_ids());
    let client = reqwest::Client::new();
    for kind in ["users", "members"] {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let before = std::time::Instant::now();
        let work = async || {
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n >= WRITES {
                    return;
                }
                let request = match kind {
                    "users" => client
                        .post(format!("{}/api/v1/users", sandbox.url()))
                        .body(person(&format!("w{n}@example.com")).to_string()),
                    _ => {
                        client.put(format!("{}/api/v1/groups/{group}/users/{}", sandbox.url(), users[n % users.len()]))
                    }
                };
                let answer = request.header("authorization", "SSWS sandbox-token").send().await.unwrap();
                assert!(answer.status().is_success());
            }
        };
        let workers: Vec<_> = (0..128).map(|_| work()).collect();
        futures::future::join_all(workers).await;
        let rate = WRITES as f64 / before.elapsed().as_secs_f64();
        println!("{rate:.0} {kind} a second");
        assert!(rate > 2000.0, "{kind}");
    }
}
