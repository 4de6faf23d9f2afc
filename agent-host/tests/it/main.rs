//! The program as a shell sees it: arguments, help, exit codes, signals. What it does is tested in `tests/it`.

mod signals;
mod usage;

use std::process::Command;

/// The program, in an environment without surprises.
fn agent_host() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-host"));
    command.env_clear();
    command
}
