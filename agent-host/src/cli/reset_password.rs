//! `agent-host reset-password`: the arguments and the report. A password is printed only where `--show` asks for it.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::{
    agent::Agent,
    password_reset::{PasswordResets, ResetReport, ResetWish},
    store::{self, Store},
};

use super::{Format, now_ms, print};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The connection
    connection: String,
    /// The account's whole login, or its id
    login: String,
    /// The PasswordResetSettings to go by; else those of the connection's users, or the only ones
    #[arg(long, value_name = "ID")]
    setting: Option<String>,
    /// Only unlock the account; its password stays
    #[arg(long, conflicts_with_all = ["setting", "show", "notify"])]
    unlock: bool,
    /// End the account's open sessions too
    #[arg(long)]
    revoke_sessions: bool,
    /// Print the password that was set; else it travels by mail alone
    #[arg(long)]
    show: bool,
    /// Who is told in place of the account's owner
    #[arg(long, value_name = "ADDRESS")]
    notify: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    connection: &'a str,
    user: &'a str,
    mode: &'a str,
    effect: &'a str,
    notified: Option<&'a str>,
    notice: &'a str,
    sessions_revoked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    temporary_password: Option<&'a SecretString>,
}

pub(super) async fn run(agent: &Agent, format: Format, options: &Options) -> anyhow::Result<ExitCode> {
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    let resets = PasswordResets::open(agent, store, Arc::new(now_ms))?;
    let wish = ResetWish {
        login: options.login.clone(),
        setting: options.setting.clone(),
        unlocks: options.unlock,
        revokes_sessions: options.revoke_sessions,
        shows: options.show,
        notified: options.notify.clone(),
        actor: whoami::username().unwrap_or_else(|_| "unknown".to_owned()),
    };
    let report = resets.reset(agent, &options.connection, &wish).await?;
    let shown = Report {
        connection: &report.connection,
        user: &report.user,
        mode: report.mode,
        effect: report.effect,
        notified: report.notified.as_deref(),
        notice: report.notice,
        sessions_revoked: report.sessions_revoked,
        request_id: report.request_id.as_deref(),
        note: report.note.as_deref(),
        temporary_password: report.password.as_ref(),
    };
    print(format, &shown, |out| in_words(&report, out))?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(report: &ResetReport, out: &mut dyn Write) -> io::Result<()> {
    let user = &report.user;
    match report.effect {
        "password_set" => writeln!(out, "{user}: the password is set.")?,
        "password_set_must_change" => {
            writeln!(out, "{user}: the password is set and must be changed at the next login.")?
        }
        "temporary_password_set" => {
            writeln!(out, "{user}: a temporary password is set and must be changed at the next login.")?
        }
        "link_mailed" if report.mode == "mailed_link" => writeln!(out, "{user}: the managed system mails a link.")?,
        "link_mailed" => {
            writeln!(out, "{user}: a link is made behind which the password is chosen; until then it stays.")?
        }
        "unlocked" => writeln!(out, "{user}: unlocked.")?,
        _ => writeln!(out, "{user}: not locked; nothing was changed.")?,
    }
    if report.sessions_revoked {
        writeln!(out, "Open sessions were ended.")?;
    }
    if let Some(notified) = &report.notified {
        writeln!(out, "Told by mail: {notified}")?;
    }
    if let Some(note) = &report.note {
        writeln!(out, "Note: {note}")?;
    }
    if let Some(password) = &report.password {
        writeln!(out, "Password: {}", password.expose_secret())?;
    }
    Ok(())
}

fn shown<S: Serializer>(password: &Option<&SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match password {
        Some(password) => serializer.serialize_str(password.expose_secret()),
        None => serializer.serialize_none(),
    }
}
