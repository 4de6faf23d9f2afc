//! The product shown at work: an Okta organisation made up on this machine, an agent directory for it, and a tour.
//!
//! Uses what everybody uses: the directory that `init` writes, the settings, the mapping, the verbs.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use okta_sandbox::{Limits, Members, Sandbox, SandboxConfig, Seed};

use crate::{
    agent::{Agent, Opened},
    export::{ExportOptions, ExportReport, export},
    fulfill::{FulfillOptions, FulfillReport, Orders, Stop, fulfill, plan},
    init,
    password_reset::{PasswordResets, ResetWish},
    store::{self, Store},
};

const CONNECTION: &str = "OktaExportFulfillment";
/// Lines of a file and characters of a line that are shown.
const SHOWN_LINES: usize = 4;
const SHOWN_CHARACTERS: usize = 110;

/// How passwords are reset in the demonstration.
const PASSWORDS: &str = r#"<ConfigurationFile xmlns="urn:schemas-usercube-com:configuration">
  <PasswordResetSettings Identifier="HelpDesk" Mode="1" AutoGenerate="true" MustChange="true" />
</ConfigurationFile>
"#;

/// Runs the tour, writes it to `out` and returns the report of its last whole export; the agent directory stays in `keep`,
/// else it is removed at the end.
///
/// # Errors
/// Whatever one of the verbs fails with.
pub async fn run(keep: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<ExportReport> {
    let began = Instant::now();
    let temporary = tempfile::tempdir().context("making a folder for the agent")?;
    let directory = keep.map_or_else(|| temporary.path().join("agent"), PathBuf::from);
    writeln!(
        out,
        "1. An Okta organisation on this machine: 2,000 users, 150 groups, 40 apps, with the limits of Okta Workforce."
    )?;
    let sandbox = start_sandbox().await.context("starting the sandbox")?;
    writeln!(out, "   It listens on {}.\n", sandbox.url())?;

    writeln!(out, "2. An agent directory, as `agent-host init` writes it, with the organisation's address and token:")?;
    for path in write_directory(&directory, &sandbox)? {
        writeln!(out, "   {}", path.display())?;
    }
    let agent = Agent::open(&directory).await?;
    let opened = agent.connection(CONNECTION)?;

    writeln!(out, "\n3. `agent-host check {CONNECTION}`: may the token read what is needed?")?;
    let report = opened.connector.test_connection(&opened.tables).await?;
    for (table, readable) in &report.tables {
        writeln!(out, "   {table:<12} {}", if *readable { "can be read" } else { "cannot be read" })?;
    }

    writeln!(out, "\n4. `agent-host export {CONNECTION}`: five files, all of them or none.")?;
    // A connection of its own, so that the requests of the check are not counted with it.
    let first = export_all(&agent, &agent.connection(CONNECTION)?).await?;
    write!(out, "{first}")?;
    for table in &first.tables {
        show_file(out, &first.output.join(&table.file))?;
    }

    writeln!(out, "\n5. A second export of the same organisation gives the same files, byte for byte:")?;
    let before = contents(&first)?;
    let second = export_all(&agent, &agent.connection(CONNECTION)?).await?;
    let same = before == contents(&second)?;
    writeln!(
        out,
        "   {} requests, {}.",
        second.requests.total,
        if same { "no difference" } else { "different files" }
    )?;
    anyhow::ensure!(same, "the second export differs from the first");

    carry_out_orders(&agent, &sandbox, out).await?;
    reset_password(&agent, out).await?;
    writeln!(
        out,
        "\n9. `agent-host export {CONNECTION} --table users`: the next export has what the orders have changed."
    )?;
    let tables = vec!["users".to_owned()];
    let options = ExportOptions { output: agent.export_folder(), tables, ..ExportOptions::default() };
    let third = export(&agent.connection(CONNECTION)?, &options, |_| {}).await?;
    write!(out, "{third}")?;
    show_lines(out, &third.output.join(&third.tables[0].file), |line| line.contains("ada.martin"))?;
    if keep.is_some() {
        writeln!(out, "\nThe agent directory is in {}.", directory.display())?;
    }
    writeln!(
        out,
        "\nDone in {:.1} s. For your own organisation: `agent-host init DIR`, then `check`, `export`, and \
         `fulfill --plan`.",
        began.elapsed().as_secs_f64()
    )?;
    Ok(second)
}

/// Shows a reset of the password of the account that the orders made.
async fn reset_password(agent: &Agent, out: &mut dyn Write) -> anyhow::Result<()> {
    let login = "ada.martin@example.com";
    writeln!(
        out,
        "\n8. `agent-host reset-password {CONNECTION} {login} --show`:\n   made up by the rules, set, and written down who did it."
    )?;
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    let resets = PasswordResets::open(agent, store, Arc::new(|| chrono::Utc::now().timestamp_millis()))?;
    let actor = "the demonstration".to_owned();
    let wish = ResetWish { login: login.to_owned(), shows: true, actor, ..ResetWish::default() };
    let report = resets.reset(agent, CONNECTION, &wish).await?;
    writeln!(out, "   {}: {} (not shown here; without --show it travels by mail alone)", report.user, report.effect)?;
    Ok(())
}

/// Shows orders: planned, carried out, and once more, when nothing is left to do.
async fn carry_out_orders(agent: &Agent, sandbox: &Sandbox, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = agent.settings.directory.join("Orders").join("demo.json");
    fs::write(&path, orders(sandbox)).with_context(|| format!("writing `{}`", path.display()))?;
    writeln!(out, "\n6. `agent-host fulfill {CONNECTION} --plan`: what orders would change; nothing is sent.")?;
    let opened = agent.connection(CONNECTION)?;
    write!(out, "{}", plan(agent, &opened, &Orders::Path(path.clone()), usize::MAX, None, 0).await?)?;

    writeln!(
        out,
        "\n7. `agent-host fulfill {CONNECTION}`: each once in effect, and reported; then the same orders again."
    )?;
    for _ in 0..2 {
        let opened = agent.connection(CONNECTION)?;
        let clock = || chrono::Utc::now().timestamp_millis();
        let options = FulfillOptions {
            orders: Orders::Path(path.clone()),
            results: None,
            approve: None,
            clock,
            stop: Stop::default(),
        };
        let report: FulfillReport = fulfill(agent, &opened, &options, |_| {}).await?;
        write!(out, "{report}")?;
        anyhow::ensure!(report.is_clean(), "some orders errored");
        if let Some(results) = report.results {
            show_file(out, &results)?;
        }
    }
    Ok(())
}

/// Orders for records that the organisation has: a new account, changes, links, a deletion.
fn orders(sandbox: &Sandbox) -> String {
    let (users, group, app) = sandbox.with_org(|org| {
        let app = org.app_ids().into_iter().next().unwrap_or_default();
        (org.user_ids(), org.add_group("Demonstration"), app)
    });
    let order = |id: &str, change: &str, entity: &str, resource: serde_json::Value, changes: serde_json::Value| {
        serde_json::json!({
            "AssignedResourceTypeId": id, "ChangeType": change, "Resource": resource, "Changes": changes,
            "ResourceType": { "TargetEntityType": { "Identifier": entity } },
        })
    };
    let user = |nth: usize| serde_json::json!({ "OktaExportFulfillment_users_id": users[nth] });
    let in_group = serde_json::json!({ "OktaExportFulfillment_groups_id": group });
    let login = "ada.martin@example.com";
    let ada = serde_json::json!({
        "profile_login": login, "profile_email": login, "profile_firstName": "Ada", "profile_lastName": "Martin",
        "Groups_add": [in_group],
    });
    let opens = serde_json::json!({ "Applications_add": [{ "OktaExportFulfillment_apps_id": app }] });
    let moves = serde_json::json!({ "profile_department": "Demonstrations", "Groups_add": [in_group] });
    let orders = [
        order("1", "Added", "User", serde_json::Value::Null, ada),
        order("2", "Modified", "User", user(1), moves),
        order("3", "Modified", "User", user(2), serde_json::json!({ "status": "SUSPENDED" })),
        order("4", "Modified", "Group", in_group, opens),
        order("5", "Deleted", "User", user(3), serde_json::json!({})),
    ];
    serde_json::json!({ "ProvisioningOrdersList": orders }).to_string()
}

async fn start_sandbox() -> std::io::Result<Sandbox> {
    let seed = Seed { users: 2_000, groups: 150, apps: 40, members_per_group: Members::About(40), ..Seed::default() };
    // A token for one agent, with its share raised as the README advises.
    let config = SandboxConfig {
        seed,
        limits: Limits::Workforce,
        share_percent: 100,
        latency: Duration::from_millis(40),
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await
}

fn write_directory(directory: &Path, sandbox: &Sandbox) -> anyhow::Result<Vec<PathBuf>> {
    let written = init::init(directory)?;
    let connection = serde_json::json!({ "Server": sandbox.url(), "ApiKey": sandbox.token() });
    let settings = serde_json::json!({ "Connections": { CONNECTION: connection } });
    let path = directory.join("appsettings.agent.json");
    fs::write(&path, serde_json::to_string_pretty(&settings)?)
        .with_context(|| format!("writing `{}`", path.display()))?;
    let path = directory.join("Conf").join("Passwords.xml");
    fs::write(&path, PASSWORDS).with_context(|| format!("writing `{}`", path.display()))?;
    Ok(written)
}

async fn export_all(agent: &Agent, opened: &Opened<'_>) -> anyhow::Result<ExportReport> {
    export(opened, &ExportOptions { output: agent.export_folder(), ..ExportOptions::default() }, |_| {}).await
}

fn show_file(out: &mut dyn Write, path: &Path) -> anyhow::Result<()> {
    writeln!(out, "\n   {}", path.file_name().unwrap_or_default().display())?;
    show_lines(out, path, |_| true)
}

/// Some lines of a file, as far as they fit.
fn show_lines(out: &mut dyn Write, path: &Path, is_shown: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let file = fs::File::open(path).with_context(|| format!("reading `{}`", path.display()))?;
    let lines = BufReader::new(file).lines().filter(|line| line.as_ref().map_or(true, |line| is_shown(line)));
    for line in lines.take(SHOWN_LINES) {
        let line = line?;
        let shown: String = line.chars().take(SHOWN_CHARACTERS).collect();
        writeln!(out, "     {shown}{}", if shown.len() < line.len() { "…" } else { "" })?;
    }
    Ok(())
}

/// The files of an export.
fn contents(report: &ExportReport) -> anyhow::Result<Vec<Vec<u8>>> {
    report.tables.iter().map(|table| Ok(fs::read(report.output.join(&table.file))?)).collect()
}
