//! The agent serves https with a certificate in PEM or PFX, and takes a renewed one without ending.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, crypto::aws_lc_rs,
    pki_types::CertificateDer,
};

use super::{Daemon, agent};
use crate::vaults::authority::Authority;

/// The certificate that is shown, the version that is spoken, and the answer.
fn ask(address: &str, authority: &Authority) -> (CertificateDer<'static>, ProtocolVersion, String) {
    ask_for(address, authority, "/healthz", "")
}

/// The same for this path, with further header lines.
fn ask_for(
    address: &str,
    authority: &Authority,
    path: &str,
    headers: &str,
) -> (CertificateDer<'static>, ProtocolVersion, String) {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).expect("the handshake works");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the handshake works")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().expect("the handshake works"))
        .expect("the handshake works");
    let mut stream = StreamOwned::new(client, TcpStream::connect(address).expect("the handshake works"));
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n")
        .expect("the handshake works");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the handshake works");
    let shown = stream.conn.peer_certificates().expect("the handshake works")[0].clone().into_owned();
    (shown, stream.conn.protocol_version().expect("the handshake works"), answer)
}

#[test]
fn https_is_served_from_pem_and_a_renewed_pfx_is_taken_by_a_reload() {
    let authority = Authority::new("The test's authority");
    let (first, second) = (authority.issue("localhost"), authority.issue_rsa("localhost"));
    let agent = agent(&json!({}));
    let settings = |certificate: serde_json::Value| {
        json!({ "Web": { "Urls": "https://127.0.0.1:0", "Certificate": certificate } }).to_string()
    };
    std::fs::write(agent.directory().join("tls.pem"), &first.pem).unwrap();
    agent.write("appsettings.json", &settings(json!({ "File": "tls.pem" })));
    let made = agent.run(&["--format", "json", "directory", "create", "acme"]).must_exit(0).json();
    let token = made["token"].as_str().expect("it is printed");
    acceptance::watch(token);
    let daemon = Daemon::start_as_told(agent.command(&["run"]));
    let (shown, version, answer) = ask(&daemon.address, &authority);
    assert_eq!((&shown, version), (&first.certificate, ProtocolVersion::TLSv1_3));
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");

    // What a client of SCIM is told leads back by https.
    let bearer = format!("authorization: Bearer {token}\r\n");
    let (.., answer) = ask_for(&daemon.address, &authority, "/scim/v2/acme/ServiceProviderConfig", &bearer);
    assert!(answer.contains("https://localhost/scim/v2/acme/ServiceProviderConfig"), "{answer}");

    // Whoever speaks no TLS, or an old one, or nothing for long, is not served.
    let mut silent = TcpStream::connect(&daemon.address).unwrap();
    let silent_since = Instant::now();
    let mut plain = TcpStream::connect(&daemon.address).unwrap();
    let refused = super::bad_input::answer(&mut plain, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!refused.contains("200"), "{refused}");
    for (version, is_served) in [("-tls1_1", false), ("-tls1_2", true)] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &daemon.address, version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        let Ok(output) = openssl.stdin(Stdio::null()).output() else {
            eprintln!("left out: there is no openssl on this machine");
            break;
        };
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told.contains("-----BEGIN CERTIFICATE-----"), is_served, "{version}: {told}");
    }

    second.write_pfx(&agent.directory().join("tls.pfx"), "opens-the-pfx");
    acceptance::watch("opens-the-pfx");
    agent.write("appsettings.json", &settings(json!({ "File": "tls.pfx", "Password": "opens-the-pfx" })));
    daemon.reload("the settings were read anew");
    assert_eq!(ask(&daemon.address, &authority).0, second.certificate);

    agent.write("appsettings.json", &settings(json!({ "File": "tls.pfx", "Password": "not it" })));
    daemon.reload("the settings cannot be used");
    assert!(daemon.log().contains("`Web:Certificate:File` names a file that cannot be opened"), "{}", daemon.log());
    assert_eq!(ask(&daemon.address, &authority).0, second.certificate, "the former one goes on");
    assert_eq!(super::bad_input::answer(&mut silent, b""), "");
    let waited = silent_since.elapsed();
    assert!((Duration::from_secs(8)..Duration::from_secs(40)).contains(&waited), "{waited:?}");
    daemon.end();
}
