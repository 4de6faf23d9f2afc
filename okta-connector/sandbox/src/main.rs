//! The sandbox as a program: prints where it listens and the token to use, serves until Ctrl-C or SIGTERM.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use okta_sandbox::{Limits, Members, Sandbox, SandboxConfig, Seed, ServiceApp};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

/// An Okta organisation on loopback.
///
/// Example: okta-sandbox --port 8080 --users 10000 --groups 500 --apps 40 --limits workforce
#[derive(Debug, Parser)]
#[command(name = "okta-sandbox", version)]
struct Arguments {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// JSON file with users, groups and applications
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Users to generate
    #[arg(long)]
    users: Option<u32>,
    /// Groups to generate, Everyone included
    #[arg(long)]
    groups: Option<u32>,
    /// Applications to generate
    #[arg(long)]
    apps: Option<u32>,
    /// Memberships to spread over the generated groups (Everyone's not counted)
    #[arg(long)]
    memberships: Option<u64>,
    /// Groups assigned to each generated application
    #[arg(long)]
    groups_per_app: Option<u32>,
    /// No odd statuses, groups or values
    #[arg(long)]
    plain: bool,
    /// Rate limits: integrator, workforce or unlimited
    #[arg(long, default_value = "unlimited")]
    limits: Limits,
    /// The token's share of each bucket
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    share: u8,
    /// Length of a rate-limit window in seconds
    #[arg(long, default_value_t = 60)]
    window_seconds: u64,
    /// Least time an answer takes
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// How long lists show the old state after a change
    #[arg(long, default_value_t = 0)]
    lag_ms: u64,
    /// How far the server's clock is ahead
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    skew_seconds: i64,
    /// API token to accept
    #[arg(long, default_value = "sandbox-token")]
    token: String,
    /// JSON file with an OAuth service app: clientId, keys (JWK set or PEM), scopes, hasAdminRole, requireDpop
    #[arg(long, value_name = "FILE")]
    service_app: Vec<PathBuf>,
    /// File to write requests to, one JSON object a line
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Compress answers for callers that accept gzip
    #[arg(long)]
    gzip: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "okta-sandbox: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let apps: Vec<ServiceApp> = arguments.service_app.iter().map(|file| read_json(file)).collect::<io::Result<_>>()?;
    let sandbox = Sandbox::start(config(arguments)?).await?;
    for app in apps {
        sandbox.with_org(|org| org.add_service_app(app)).map_err(io::Error::other)?;
    }
    let mut out = io::stdout();
    writeln!(out, "okta-sandbox listening on {}\ntoken: {}", sandbox.url(), sandbox.token())?;
    out.flush()?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}

fn config(arguments: Arguments) -> io::Result<SandboxConfig> {
    let mut seed = match &arguments.seed {
        Some(file) => Seed { file: Some(Arc::new(read_json(file)?)), ..Seed::empty() },
        None => Seed::default(),
    };
    seed.users = arguments.users.unwrap_or(seed.users);
    seed.groups = arguments.groups.unwrap_or(seed.groups);
    seed.apps = arguments.apps.unwrap_or(seed.apps);
    seed.groups_per_app = arguments.groups_per_app.unwrap_or(seed.groups_per_app);
    seed.members_per_group = arguments.memberships.map_or(seed.members_per_group, Members::Total);
    seed.oddities &= !arguments.plain;
    Ok(SandboxConfig {
        port: arguments.port,
        seed,
        limits: arguments.limits,
        share_percent: arguments.share,
        latency: Duration::from_millis(arguments.latency_ms),
        token: arguments.token,
        journal_file: arguments.journal,
        window: Duration::from_secs(arguments.window_seconds),
        skew_seconds: arguments.skew_seconds,
        consistency_lag: Duration::from_millis(arguments.lag_ms),
        gzip: arguments.gzip,
        ..SandboxConfig::default()
    })
}

fn read_json<T: DeserializeOwned>(file: &Path) -> io::Result<T> {
    let text = std::fs::read_to_string(file)
        .map_err(|problem| io::Error::new(problem.kind(), format!("{}: {problem}", file.display())))?;
    serde_json::from_str(&text).map_err(|problem| io::Error::other(format!("{}: {problem}", file.display())))
}
