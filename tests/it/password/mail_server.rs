//! A real mail server on loopback, with a certificate of the test's own: Python's aiosmtpd.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use acceptance::{TestAgent, python, watch, watch_mail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::say;

pub(super) const USER: &str = "agent@mail.example";
pub(super) const PASSWORD: &str = "the-mail-servers-Passw0rd";

/// The server, until it is dropped.
pub(super) struct MailServer {
    child: Child,
    pub(super) port: u16,
    folder: TempDir,
}

impl MailServer {
    /// Starts a server that speaks `starttls`, `tls` or `plain`; none where there is no Python for it.
    pub(super) fn start(mode: &str) -> Option<Self> {
        let python = python().filter(|python| {
            let mut probe = Command::new(python);
            probe.args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        let Some(python) = python else {
            say("left out: there is no Python with aiosmtpd (`cargo xtask test` installs it)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_certificates(&folder);
        watch(PASSWORD);
        let (user, password) = if mode == "plain" { ("", "") } else { (USER, PASSWORD) };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/password/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder.path())
            .arg(mode)
            .arg(folder.path().join("server.pem"))
            .args([user, password])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mail server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the mail server says its port");
        let port = line.trim().parse().expect("the port is a number");
        Some(Self { child, port, folder })
    }

    /// `MailSettings` for it.
    pub(super) fn settings(&self, security: &str) -> Value {
        json!({
            "FromAddress": "Agent <agent@mail.example>", "Host": "localhost", "Port": self.port.to_string(),
            "Username": USER, "Password": PASSWORD, "SecureSocketOption": security,
        })
    }

    /// The certificate that its own is trusted by.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// From now on it keeps mails without saying so, or says so again.
    pub(super) fn hold(&self, holds: bool) {
        let path = self.folder.path().join("hold");
        if holds { fs::write(path, "").expect("it can be written") } else { drop(fs::remove_file(path)) }
    }

    /// The mails it has got, the oldest first. What is secret in them nobody else may show from then on.
    pub(super) fn mails(&self) -> Vec<Value> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is there");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path| serde_json::from_str(&fs::read_to_string(path).expect("a mail")).expect("a mail is JSON");
        let mails: Vec<Value> = paths.into_iter().map(read).collect();
        mails.iter().filter_map(|mail| mail["text"].as_str()).for_each(watch_mail);
        mails
    }

    /// The program with these arguments, trusting this server.
    pub(super) fn command(&self, agent: &TestAgent, arguments: &[&str]) -> Command {
        let mut command = agent.command(arguments);
        command.env("SSL_CERT_FILE", self.authority());
        command
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_certificates(folder: &TempDir) {
    let key = || KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate can be made");
    let server_key = key();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let server = server.signed_by(&server_key, &authority).expect("a certificate can be made");
    fs::write(folder.path().join("ca.pem"), authority.pem()).expect("it can be written");
    let both = format!("{}{}", server.pem(), server_key.serialize_pem());
    fs::write(folder.path().join("server.pem"), both).expect("it can be written");
}
