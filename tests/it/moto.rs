//! The server that AWS's users test against, as a process. `cargo xtask test` installs it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use acceptance::python;

/// A key that opens everything there.
pub(crate) const ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// It, until it is dropped.
pub(crate) struct Moto {
    pub(crate) url: String,
    server: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Moto {
    /// A server that lets anybody in, or, `strict`, nobody; none where it is not installed.
    #[expect(clippy::print_stderr, reason = "who runs the tests learns what was left out")]
    pub(crate) fn start(strict: bool) -> Option<Self> {
        let Some(program) = python().map(|python| python.with_file_name("moto_server")).filter(|it| it.exists()) else {
            eprintln!("not tested: moto is not installed; `cargo xtask test` does that");
            return None;
        };
        let mut command = Command::new(program);
        command.args(["-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if strict {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "0");
        }
        let mut server = command.spawn().expect("moto starts");
        let mut lines = BufReader::new(server.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()));
        let url = url.expect("moto says where it listens");
        // Its log must be read, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { url, server })
    }
}
