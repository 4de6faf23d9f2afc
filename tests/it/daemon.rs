//! The daemon as operations people meet it: asked to read its settings anew, to end, how it is, and by strangers.

mod bad_input;
mod monitoring;
mod notifications;
mod outage;
mod reload;
mod stop;
mod tls;

use std::{os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use acceptance::{CONNECTION, TestAgent};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};

use crate::password::daemon::{Daemon, until};

/// An agent whose appsettings.json this is.
fn agent(settings: &Value) -> TestAgent {
    let agent = TestAgent::seeded(Seed::exact(12, 3, 2, 4));
    agent.set("RetryBudgetSeconds", json!(1));
    agent.write("appsettings.json", &settings.to_string());
    agent
}

/// A job without a schedule that does this to the connection.
fn job(kind: &str) -> Value {
    json!({ "Steps": [{ "Kind": kind, "Connection": CONNECTION }] })
}

fn run(agent: &TestAgent, number: i64) -> Value {
    let number = number.to_string();
    agent.run(&["--format", "json", "job", "history", "--run", &number]).must_exit(0).json()
}

fn start(agent: &TestAgent, job: &str) {
    agent.run(&["job", "start", job, "--no-wait"]).must_exit(0);
}

/// Makes reads of users take so long, and waits for the first.
fn slow_users(agent: &TestAgent, seconds: u64) {
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(seconds));
    agent.sandbox.add_fault(Fault::new(slow).on("GET", "/api/v1/users").always());
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is one");
    listener.local_addr().expect("it has one").port()
}

/// What systemd would hear.
struct Notices {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Notices {
    fn listen(agent: &TestAgent) -> Self {
        let path = agent.beside("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be made");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out can be set");
        Self { path, socket }
    }

    /// What is said up to this, and with it.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut buffer = [0; 2048];
        let mut heard: Vec<String> = Vec::new();
        while !heard.last().is_some_and(|told| told.contains(wanted)) {
            let length = self.socket.recv(&mut buffer);
            let length = length.unwrap_or_else(|error| panic!("`{wanted}` is told: {error}; {heard:?}"));
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        heard
    }

    /// Forgets what was said before this moment.
    fn forget(&self) {
        self.socket.set_nonblocking(true).expect("it can be set");
        while self.socket.recv(&mut [0; 2048]).is_ok() {}
        self.socket.set_nonblocking(false).expect("it can be set");
    }
}
