//! schemathesis against the running agent: what the description promises is what is answered, whatever is sent.

use std::{io::Write, process::Command};

use acceptance::{Run, TestAgent};
use okta_sandbox::Seed;

use super::{Client, administrator};

/// Requests of one kind to one route.
const EXAMPLES: &str = "12";

#[test]
fn schemathesis_finds_nothing() {
    let program = acceptance::python().map(|python| python.with_file_name("schemathesis")).filter(|path| path.exists());
    let Some(program) = program else {
        let line = "left out: `schemathesis` is not there; `cargo xtask test` installs it where there is Python\n";
        // A test that cannot say so passes all the same.
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    };
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let root = administrator(&agent);
    let client = Client::start(&agent, &root);
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/api/openapi.json", client.url()))
        .args(["--header", &format!("Authorization: Bearer {root}")]);
    command.args(["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--workers", "2"]);
    // That no route answers without a token is tested elsewhere; here wrong ones would be slowed down.
    command.args(["--exclude-checks", "ignored_auth"]).current_dir(agent.beside(""));
    let run = Run::of(command);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    client.end();
}
