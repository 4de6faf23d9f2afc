//! Sign-in by password, sessions and waits, by a clock that is set; on a file and on a server.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::store::tests::stores;

const START_MS: i64 = 1_800_000_000_000;
const PASSWORD: &str = "correct horse battery";

struct Rig {
    operators: Operators,
    clock: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// One on a store of each kind.
    async fn all() -> Vec<Self> {
        let mut rigs = Vec::new();
        for (folder, store) in stores().await {
            let (settings, _) = Settings::load(folder.path(), [("a", "b"); 0]).await.unwrap();
            let clock = Arc::new(AtomicI64::new(START_MS));
            let shown = clock.clone();
            let operators = Operators::open(&settings, store, Arc::new(move || shown.load(Ordering::SeqCst))).unwrap();
            rigs.push(Self { operators, clock, _folder: folder });
        }
        rigs
    }

    fn wait(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    async fn sign_in(&self, name: &str, password: &str, host: u8) -> SignIn {
        self.operators.sign_in(name, &password.into(), [10, 0, 0, host].into()).await.unwrap()
    }

    async fn held(&self, name: &str) -> String {
        let SignIn::Welcome(held) = self.sign_in(name, PASSWORD, 1).await else { panic!("{name} is not let in") };
        secrecy::ExposeSecret::expose_secret(&held).to_owned()
    }
}

#[tokio::test]
async fn a_session_is_its_operators_until_it_is_idle_old_or_without_one() {
    for rig in Rig::all().await {
        let store = rig.operators.store.clone();
        assert!(rig.operators.are_none().await.unwrap());
        create(&store, "Ada", Role::Operator, &["Okta".to_owned()], &PASSWORD.into(), "root", START_MS).await.unwrap();
        create(&store, "ADA", Role::Viewer, &[], &PASSWORD.into(), "root", START_MS).await.unwrap_err();
        create(&store, "Bob", Role::Viewer, &[], &"eleven char".into(), "root", START_MS).await.unwrap_err();
        let (one, two) = (rig.held("ada").await, rig.held("Ada").await);
        assert_ne!(one, two);
        let session = rig.operators.session(&one).await.unwrap().unwrap();
        assert_eq!(session.caller.scope, Scope::Connections(vec!["Okta".to_owned()]));
        assert_eq!((session.caller.name.as_str(), session.caller.role), ("operator Ada", Role::Operator));
        for _ in 0..15 {
            rig.wait(30 * MINUTE_MS);
            assert!(rig.operators.session(&one).await.unwrap().is_some(), "it is used");
        }
        assert!(rig.operators.session(&two).await.unwrap().is_none(), "it was idle");
        rig.wait(30 * MINUTE_MS + 1);
        assert!(rig.operators.session(&one).await.unwrap().is_none(), "it is eight hours old");
        let three = rig.held("ada").await;
        let session = rig.operators.session(&three).await.unwrap().unwrap();
        rig.operators.sign_out(&session, [10, 0, 0, 1].into()).await.unwrap();
        assert!(rig.operators.session(&three).await.unwrap().is_none());
        let four = rig.held("ada").await;
        set_password(&store, "ada", &"another long one".into(), "root", START_MS).await.unwrap();
        assert!(rig.operators.session(&four).await.unwrap().is_none(), "another password ends sessions");
        assert!(matches!(rig.sign_in("ada", PASSWORD, 1).await, SignIn::Wrong));
        remove(&store, "ada", "root", START_MS).await.unwrap();
        remove(&store, "ada", "root", START_MS).await.unwrap_err();
        assert!(rig.operators.session("").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_fifth_wrong_password_of_a_name_locks_it_whether_there_is_such_a_name_or_not() {
    for rig in Rig::all().await {
        let store = rig.operators.store.clone();
        create(&store, "ada", Role::Viewer, &[], &PASSWORD.into(), "root", START_MS).await.unwrap();
        for (name, host) in [("ada", 1), ("nobody", 2)] {
            for _ in 0..5 {
                assert!(matches!(rig.sign_in(name, "wrong", host).await, SignIn::Wrong));
            }
            for _ in 0..3 {
                assert!(matches!(rig.sign_in(name, PASSWORD, host).await, SignIn::Locked(30)), "{name}");
            }
        }
        rig.wait(30_000);
        assert!(matches!(rig.sign_in("ada", "wrong", 1).await, SignIn::Wrong));
        assert!(matches!(rig.sign_in("ada", PASSWORD, 1).await, SignIn::Locked(60)), "twice as long");
        rig.wait(60_000);
        rig.held("ada").await;
        assert!(matches!(rig.sign_in("ada", "wrong", 1).await, SignIn::Wrong), "a right one forgives");
        rig.held("ada").await;
        // Who goes on while it is locked is told so, and written down once.
        let lines = store.audit(100).await.unwrap().into_iter().filter(|line| line.action == "operator_sign_in");
        let outcomes: Vec<String> = lines.map(|line| line.outcome).collect();
        for (outcome, times) in [("done", 2), ("refused", 12), ("locked", 3)] {
            assert_eq!(outcomes.iter().filter(|it| *it == outcome).count(), times, "{outcome}: {outcomes:?}");
        }
    }
}

#[tokio::test]
async fn an_address_that_tries_many_names_waits_and_others_do_not() {
    for rig in Rig::all().await {
        let store = rig.operators.store.clone();
        create(&store, "ada", Role::Viewer, &[], &PASSWORD.into(), "root", START_MS).await.unwrap();
        for number in 0..20 {
            assert!(matches!(rig.sign_in(&format!("name{number}"), "wrong", 9).await, SignIn::Wrong));
        }
        assert!(matches!(rig.sign_in("ada", PASSWORD, 9).await, SignIn::Locked(_)));
        rig.held("ada").await;
    }
}

#[test]
fn waits_grow_and_end_growing() {
    let waits: Vec<i64> = [4, 5, 6, 9, 10, 70, i64::MAX].map(|failed| wait_ms(failed, 5) / 1000).into();
    assert_eq!(waits, [0, 30, 60, 480, 900, 900, 900]);
}
