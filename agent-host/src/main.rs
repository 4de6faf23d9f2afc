//! The program: its arguments are read and carried out by `agent_host::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_host::cli::run(std::env::args_os())
}
