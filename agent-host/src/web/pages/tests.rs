//! Sessions as a browser has them, by a clock that is set.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicI64, Ordering},
};

use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::*;
use crate::{
    agent::Agent,
    directories::Directories,
    jobs::{Course, Jobs},
    operators::{self, SignIn},
    password_reset::PasswordResets,
    reload::reload,
    store::Store,
    web::{Around, router},
};

const MINUTE_MS: i64 = 60_000;

/// The first line of the answer to a request for the first page, and where it leads.
async fn first_page(address: SocketAddr, held: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncookie: agent-session={held}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.lines().next().unwrap().to_owned(), answer.contains("location: /sign-in"))
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Arc::new(Agent::open(folder.path()).await.unwrap());
    let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
    let clock = Arc::new(AtomicI64::new(1_800_000_000_000));
    let shown = clock.clone();
    let now: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || shown.load(Ordering::SeqCst));
    let resets = Arc::new(PasswordResets::open(&agent, store.clone(), now.clone()).unwrap());
    let directories = Directories::open(&agent.settings, store.clone(), now).unwrap();
    let jobs = Jobs::read(&agent).unwrap();
    let around = Around {
        reload: reload().0,
        course: watch::Sender::new(Course::GoOn).subscribe(),
        monitoring: Arc::default(),
        queued: Arc::default(),
    };
    let web = Web::new(agent, jobs, resets, directories, around).unwrap();
    let password = "long-enough-as-it-is".into();
    operators::create(&store, "ada", Role::Viewer, &[], &password, "root", 0).await.unwrap();
    let SignIn::Welcome(held) = web.operators.sign_in("ada", &password, [127, 0, 0, 1].into()).await.unwrap() else {
        panic!("she is let in");
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router(web).into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let held = held.expose_secret();
    for _ in 0..17 {
        assert_eq!(first_page(address, held).await, ("HTTP/1.1 200 OK".to_owned(), false));
        clock.fetch_add(28 * MINUTE_MS, Ordering::SeqCst);
    }
    assert!(!first_page(address, held).await.1, "it was used all the time");
    clock.fetch_add(5 * MINUTE_MS, Ordering::SeqCst);
    assert_eq!(first_page(address, held).await, ("HTTP/1.1 303 See Other".to_owned(), true), "it is eight hours old");
    clock.fetch_add(-6 * 60 * MINUTE_MS, Ordering::SeqCst);
    assert!(first_page(address, held).await.1, "what has ended does not come back");
    server.abort();
}
