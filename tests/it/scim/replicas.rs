//! Two agents behind one PostgreSQL: whoever asks them by turns meets one directory.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use acceptance::TestAgent;
use serde_json::json;

use super::{
    client::Client,
    create, okta_user, patch,
    races::at_once,
    suites::{run_sanity, run_tester},
};

/// Two daemons on one store; None where PostgreSQL is not installed.
fn replicas(agent: &TestAgent) -> Option<([Client; 2], String)> {
    let url = passing_postgres::database()?;
    agent.write("appsettings.agent.json", &json!({ "Store": { "Url": url } }).to_string());
    let token = create(agent, &[]);
    let replica = |folder: &str| {
        let mut command = agent.command(&["run"]);
        command.env("WorkFolderPath", agent.beside(folder));
        Client::of(command, &token)
    };
    Some(([replica("work-1"), replica("work-2")], token))
}

/// Passes each request on to the next of the two, on a connection of its own; its address.
fn by_turns(clients: &[Client; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    let addresses = [clients[0].address().to_owned(), clients[1].address().to_owned()];
    thread::spawn(move || {
        for (turn, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let address = addresses[turn % 2].clone();
            thread::spawn(move || pass_on(&stream, &address));
        }
    });
    address
}

fn pass_on(stream: &TcpStream, address: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut replica = TcpStream::connect(address).ok()?;
    replica.write_all(&[format!("{head}connection: close\r\n\r\n").as_bytes(), &body].concat()).ok()?;
    std::io::copy(&mut replica, &mut &*stream).ok()?;
    Some(())
}

#[test]
fn the_suites_pass_while_requests_go_to_two_replicas_by_turns() {
    for run in [run_tester, run_sanity] {
        let agent = TestAgent::new();
        let Some((clients, token)) = replicas(&agent) else { return };
        run(&format!("http://{}/scim/v2/acme", by_turns(&clients)), &token);
        clients.into_iter().for_each(Client::end);
    }
}

#[test]
fn replicas_lose_no_member_and_create_nobody_twice() {
    let agent = TestAgent::new();
    let Some((clients, _)) = replicas(&agent) else { return };
    let of = |n: usize| &clients[n % 2];
    let statuses = at_once(12, |n| of(n).post("/Users", &okta_user("ada@example.com", "00u1")).status);
    let count = |status| statuses.iter().filter(|known| **known == status).count();
    assert_eq!((count(201), count(409)), (1, 11), "{statuses:?}");
    let staff = clients[0].post("/Groups", &json!({ "displayName": "Staff" })).must(201);
    let at = format!("/Groups/{}", staff["id"].as_str().expect("an id"));
    let statuses = at_once(64, |n| {
        let members = json!([{ "value": format!("m{n}") }, { "value": "everybody" }]);
        of(n).patch(&at, &patch(&json!([{ "op": "add", "path": "members", "value": members }]))).status
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    for client in &clients {
        let group = client.get(&at).must(200);
        let members = group["members"].as_array().expect("members");
        let different: BTreeSet<&str> = members.iter().filter_map(|member| member["value"].as_str()).collect();
        assert_eq!((members.len(), different.len()), (65, 65));
    }
    // What one has answered the other shows.
    let turn = AtomicUsize::new(0);
    for n in 0..40 {
        let (here, there) = (turn.fetch_add(1, Ordering::Relaxed), turn.load(Ordering::Relaxed));
        let user = of(here).post("/Users", &okta_user(&format!("u{n}"), "00u")).must(201);
        let id = user["id"].as_str().expect("an id");
        let at = format!("/Users/{id}");
        assert_eq!(of(there).get(&at).must(200)["userName"], format!("u{n}"));
        of(there).delete(&at).must(204);
        of(here).get(&at).must(404);
    }
    clients.into_iter().for_each(Client::end);
}
