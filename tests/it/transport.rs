//! The way to the managed system: private authorities and proxies.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use acceptance::{Run, TestAgent};
use serde_json::{Value, json};

#[test]
fn a_private_authority_is_trusted_by_ca_file_alone() {
    let agent = TestAgent::new();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(agent.directory()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new_key = ["-newkey", "rsa:2048", "-nodes"];
    openssl(
        &[
            &["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=authority"],
            &new_key[..],
        ]
        .concat(),
    );
    openssl(&[&["req", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost"], &new_key[..]].concat());
    agent.write("leaf.ext", "subjectAltName=DNS:localhost\n");
    openssl(&[
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        "leaf.ext",
        "-out",
        "leaf.pem",
    ]);
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "0", "-cert", "leaf.pem", "-key", "leaf.key", "-www"])
        .current_dir(agent.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next().map(str::to_owned));
    agent.set("Server", json!(format!("https://localhost:{}", port.unwrap())));
    agent.set("RetryBudgetSeconds", json!(1));
    let untrusted = agent.run(&["check"]);
    agent.set("CaFile", json!("ca.pem"));
    let trusted = agent.run(&["check"]);
    agent.set("CaFile", json!("leaf.key"));
    let no_certificate = agent.run(&["check"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(untrusted.stdout.contains("certificate"), "{}", untrusted.stdout);
    // Past TLS it finds a server that speaks no Okta.
    assert!(!trusted.stdout.contains("certificate") && trusted.code == Some(5), "{}", trusted.stdout);
    assert!(no_certificate.must_exit(3).failure().contains("CaFile` names a file that holds no certificates in PEM"));
}

#[test]
fn a_proxy_is_used_and_forms_that_dotnet_ignores_are_named() {
    let agent = TestAgent::new();
    agent.set("Server", json!("https://organisation.example"));
    agent.set("RetryBudgetSeconds", json!(1));
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut connection, _) = proxy.accept().unwrap();
        let mut line = String::new();
        BufReader::new(connection.try_clone().unwrap()).read_line(&mut line).unwrap();
        connection.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap();
        line
    });
    let mut command = agent.command(&["check"]);
    command.env("HTTPS_PROXY", format!("http://user:00proxy-password@{address}/"));
    acceptance::watch("00proxy-password");
    let run = Run::of(command);
    assert_eq!(asked.join().unwrap().trim_end(), "CONNECT organisation.example:443 HTTP/1.1");
    assert!(run.stderr.contains("environment variable HTTPS_PROXY: the text after the port"), "{}", run.stderr);
    agent.set("Server", Value::from(agent.sandbox.url()));
    let mut command = agent.command(&["check"]);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "*.example.org");
    let run = Run::of(command).must_exit(0);
    assert!(run.stderr.contains("environment variable NO_PROXY: `*` is no wildcard"), "{}", run.stderr);
}
