//! The command line: one tree of commands, each carried out by one function; reports on stdout, logs on stderr.
//!
//! The meaning of the exit codes is in `cli/failure.rs`.

mod check;
mod core_dumps;
mod directory;
mod export;
mod failure;
mod fulfill;
mod import;
mod interrupt;
mod job;
mod logs;
mod operator;
mod progress;
mod protect;
mod refresh_schema;
mod reset_password;
mod run;
mod store;
mod token;

use std::{
    ffi::OsString,
    future::Future,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use connector_api::ErrorKind;
use serde::Serialize;

use crate::{agent::Agent, demo, fulfill::Stop, init, settings, telemetry};
use failure::Failure;
use interrupt::unless_interrupted;

/// Carries the work of identity governance to Okta: exports what is there into the CSV files that the engine reads, and
/// carries out the engine's orders.
#[derive(Debug, Parser)]
#[command(
    name = "agent-host",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  agent-host demo                        see everything at work, without an Okta organisation
  agent-host init /srv/agent             write an agent directory to start from
  agent-host --directory /srv/agent check
  agent-host --directory /srv/agent export OktaExportFulfillment
  agent-host --directory /srv/agent fulfill OktaExportFulfillment --plan

Exit codes: 0 done, 1 failed, 2 usage, 3 settings or mapping unusable, 4 credentials refused or rights missing,
5 managed system unavailable, 6 done, but some orders errored, 7 refused by a safety limit."
)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The agent directory, with appsettings.json and Conf
    #[arg(long, global = true, env = "AGENT_DIRECTORY", default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// How the report on stdout is written
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How the log on stderr is written
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything at work against an Okta organisation made up on this machine
    #[command(after_help = "Example:\n  agent-host demo --keep demo-agent\n\nNeeds no network and no set-up.")]
    Demo {
        /// Keep the agent directory in this new folder
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Write a new agent directory from the samples
    #[command(
        after_help = "Example:\n  agent-host init /srv/agent\n\nFiles that are there already are never overwritten."
    )]
    Init {
        /// The folder to write to; it is made where it is missing
        dir: PathBuf,
    },
    /// Check settings, reachability, credentials and rights, and say what to fix
    #[command(after_help = "Example:\n  agent-host check OktaExportFulfillment --format json")]
    Check {
        /// Connections to check; all when none is named
        connections: Vec<String>,
    },
    /// Export a connection's tables into CSV files, all of them or none
    #[command(after_help = "\
Examples:
  agent-host export OktaExportFulfillment
  agent-host export OktaExportFulfillment --plan
  agent-host export OktaExportFulfillment --table users --table groups --output /srv/export")]
    Export(export::Options),
    /// Carry out provisioning orders: each once in effect, whatever happens in between
    #[command(after_help = "\
Examples:
  agent-host fulfill OktaExportFulfillment
  agent-host fulfill OktaExportFulfillment --orders orders.json --plan
  agent-host fulfill OktaExportFulfillment --orders - --results results.csv < orders.json")]
    Fulfill(fulfill::Options),
    /// Make the accounts of a connection follow the records of another, such as a personnel file
    #[command(after_help = "\
Examples:
  agent-host import Staff --plan
  agent-host import Staff

Imports are described in the section `Imports` of appsettings.agent.json.")]
    Import(import::Options),
    /// Reset the password of an account by the PasswordResetSettings, tell the right person, write down who did it
    #[command(after_help = "\
Examples:
  agent-host reset-password OktaExportFulfillment ada@example.com
  agent-host reset-password OktaExportFulfillment ada@example.com --setting HelpDesk --show --revoke-sessions
  agent-host reset-password OktaExportFulfillment ada@example.com --unlock

Without --setting the settings are those of the connection's users (OktaResourceTypeMapping), or the only ones there are.
The mail goes to the account's second address, else to its first; --notify names somebody else.")]
    ResetPassword(reset_password::Options),
    /// List, start, follow and cancel jobs; works with and without a running agent
    #[command(after_help = "\
Examples:
  agent-host job list
  agent-host job start Nightly
  agent-host job start export:OktaExportFulfillment
  agent-host job history Nightly
  agent-host job cancel 42")]
    Job {
        #[command(subcommand)]
        command: job::Job,
    },
    /// Run the agent until asked to end (Ctrl-C, SIGTERM): jobs on time, orders folders, SCIM directories, web pages, mails that wait
    #[command(after_help = "\
Example:
  agent-host --directory /srv/agent run

Jobs come from Conf and from the section `Jobs`; files in the orders folders are carried out as they come.

Listens where `Web:Urls` says, by default on http://127.0.0.1:6001.")]
    Run,
    /// Make, list and remove directories: addresses that SCIM clients such as Okta provision users and groups into
    #[command(after_help = "\
Examples:
  agent-host directory create acme
  agent-host directory create acme --basic --without import
  agent-host directory rotate acme --former-days 3
  agent-host directory events acme --after 120

`agent-host run` serves them. Switches can be set later under `Directories:acme` in appsettings.agent.json.")]
    Directory {
        #[command(subcommand)]
        command: directory::Directory,
    },
    /// Make, list and remove operators: people who may use the dashboard
    #[command(after_help = "\
Examples:
  agent-host operator create ada
  agent-host operator create helpdesk --role operator --connection OktaExportFulfillment
  agent-host operator password ada --generate
  pass show agent/ada | agent-host operator create ada

People can also sign in by OpenID Connect, with Okta itself: see `Web:OpenIdConnect` in the README.")]
    Operator {
        #[command(subcommand)]
        command: operator::Operator,
    },
    /// Protect settings, so that nobody reads them without the agent's certificate or key
    #[command(after_help = "\
Examples:
  agent-host protect new-certificate
  agent-host protect value --path Connections:OktaExportFulfillment:ApiKey
  agent-host protect file --in appsettings.agent.json --out appsettings.encrypted.agent.json")]
    Protect {
        #[command(subcommand)]
        command: protect::Protect,
    },
    /// Look after the agent's store, in which runs, orders and the audit are
    #[command(after_help = "\
Examples:
  agent-host store check
  agent-host store backup /srv/backup/agent.db")]
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
    /// Make, list and revoke tokens of the web API
    #[command(after_help = "\
Examples:
  agent-host token create monitoring
  agent-host token create policy --role operator --connection OktaExportFulfillment --expires-days 90
  agent-host token list
  agent-host token revoke monitoring

`agent-host run` serves the API at `/api/v1`; `/api/openapi.json` describes it.")]
    Token {
        #[command(subcommand)]
        command: token::Token,
    },
    /// Print or write protected settings in the clear
    #[command(
        after_help = "Example:\n  agent-host unprotect file --in appsettings.encrypted.agent.json --out plain.json"
    )]
    Unprotect {
        #[command(subcommand)]
        command: protect::Unprotect,
    },
    /// Print the tables and columns that the managed system has now, as ConnectionTable XML
    #[command(
        after_help = "Example:\n  agent-host refresh-schema OktaExportFulfillment > \"Conf/Okta/Okta Schema.xml\""
    )]
    RefreshSchema {
        /// The connection
        connection: String,
    },
}

/// Reads the arguments, carries the command out and reports a failure in one line.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    core_dumps::forbid();
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let Arguments { common, command } = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to do when even the usage cannot be printed.
            let _ = error.print();
            if error.use_stderr() && asks_for_json(&arguments) {
                Failure::of_usage(&error.to_string()).print_report();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match command {
        // Jobs on this thread, web pages on one of their own: no page waits for files that are being sorted.
        Command::Run => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let stop = Stop::default();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| match command {
        // Ends by itself when it is asked to.
        Command::Run => runtime.block_on(to_the_end(carry_out(&common, command, &stop))),
        command => runtime.block_on(to_the_end(unless_interrupted(&stop, carry_out(&common, command, &stop)))),
    });
    outcome.unwrap_or_else(|error| {
        let failure = Failure::of(&error);
        failure.print(common.format);
        failure.exit_code()
    })
}

/// What the command comes to, once it is told to whoever collects traces.
async fn to_the_end<T>(command: impl Future<Output = T>) -> T {
    let outcome = command.await;
    telemetry::end().await;
    outcome
}

/// Whether arguments that cannot be understood ask for JSON all the same.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
}

async fn carry_out(common: &Common, command: Command, stop: &Stop) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo { keep } => {
            // What the tour shows is its log.
            logs::start(common, Some(tracing::Level::WARN));
            if common.format == Format::Json {
                let report = demo::run(keep.as_deref(), &mut io::sink()).await?;
                print(common.format, &report, |_| Ok(()))?;
            } else {
                demo::run(keep.as_deref(), &mut io::stdout()).await?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Init { dir } => {
            let written = init::init(&dir)?;
            print(common.format, &InitReport { written: &written }, |out| {
                for path in &written {
                    writeln!(out, "{}", path.display())?;
                }
                writeln!(out, "Next: set `Server` and `ApiKey` in appsettings.agent.json, then `agent-host check`.")
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { connections } => check::run(&open(common).await?, common.format, &connections).await,
        Command::ResetPassword(options) => reset_password::run(&open(common).await?, common.format, &options).await,
        Command::Run => Box::pin(run::run(common)).await,
        Command::Export(options) => export::run(&open(common).await?, common.format, &options).await,
        Command::Job { command } => job::run(open(common).await?, common.format, &command).await,
        Command::Store { command } => store::run(&open(common).await?, common.format, &command).await,
        Command::Fulfill(options) => fulfill::run(&open(common).await?, common.format, &options, stop).await,
        Command::Import(options) => import::run(&open(common).await?, common.format, &options, stop).await,
        Command::Directory { command } => directory::run(&open(common).await?, common.format, &command).await,
        Command::Operator { command } => operator::run(&open(common).await?, common.format, &command).await,
        Command::Token { command } => token::run(&open(common).await?, common.format, &command).await,
        Command::Protect { command } => {
            protect::protect(common, &command)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Unprotect { command } => {
            protect::unprotect(common, &command)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RefreshSchema { connection } => {
            refresh_schema::run(&open(common).await?, common.format, &connection).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Serialize)]
struct InitReport<'a> {
    written: &'a [PathBuf],
}

/// Opens the agent directory, with the log at the level its settings ask for.
async fn open(common: &Common) -> anyhow::Result<Agent> {
    let loaded = settings::Settings::load(&common.directory, settings::environment()).await;
    // A vault that is down leaves the settings unusable; the managed system was not even asked.
    let (settings, warnings) = loaded.map_err(|error| match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Protocol => error.of_kind(ErrorKind::Settings),
        _ => error,
    })?;
    telemetry::start(&settings)?;
    logs::start(common, Some(settings.log_level));
    Ok(Agent::with_settings(settings, &warnings)?)
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Who asks, for the audit: the user of this machine.
fn actor() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

/// Prints a report on stdout: one JSON object, or text.
fn print(
    format: Format,
    report: &impl Serialize,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = match format {
        Format::Json => serde_json::to_writer(&mut out, report).map_err(Into::into).and_then(|()| writeln!(out)),
        Format::Text => text(&mut out),
    };
    written.and_then(|()| out.flush()).context("all is done, but the report cannot be written to stdout")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound_and_every_command_has_an_example() {
        let tree = Arguments::command();
        tree.clone().debug_assert();
        for command in tree.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`{}` has no example", command.get_name());
        }
    }
}
