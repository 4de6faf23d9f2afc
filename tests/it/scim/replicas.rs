//! Two agents behind one PostgreSQL: whoever asks them by turns meets one directory.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use acceptance::TestAgent;

use super::{
    client::Client,
    create, okta_user,
    stores::{Store, on},
    suites::{run_sanity, run_tester},
};

/// Passes each request on to the next of the client's daemons, on a connection of its own; its address.
fn by_turns(client: Arc<Client>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let address = client.address().to_owned();
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
        if !Store::TwoReplicas.prepare(&agent) {
            return;
        }
        let token = create(&agent, &[]);
        let client = Arc::new(Client::of_two(&agent, &token));
        run(&format!("http://{}/scim/v2/acme", by_turns(client)), &token);
    }
}

#[test]
fn what_one_replica_has_answered_the_other_shows() {
    on(Store::TwoReplicas, &[], |client| {
        for n in 0..40 {
            // An odd number of requests, so that each is begun by the other.
            let user = client.post("/Users", &okta_user(&format!("u{n}"), "00u")).must(201);
            let at = format!("/Users/{}", user["id"].as_str().expect("an id"));
            assert_eq!(client.get(&at).must(200)["userName"], format!("u{n}"));
            assert_eq!(client.get(&at).must(200)["userName"], format!("u{n}"));
            client.delete(&at).must(204);
            client.get(&at).must(404);
        }
    });
}
