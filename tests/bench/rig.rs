//! One organisation, one agent directory, and the programs that are run on them.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cost::{Cost, cost_and_report_of, cost_of},
    journal::Journal,
    organisation::Organisation,
    sandbox::{Sandbox, TOKEN, program},
};

pub(crate) const CONNECTION: &str = "OktaExportFulfillment";
/// What the agent sends with lists of users; other lists take no notice.
const LIGHT: &str =
    r#"Content-Type: application/json; okta-response="omitCredentials,omitCredentialsLinks,omitTransitioningToStatus""#;

pub(crate) struct Rig {
    sandbox: Sandbox,
    folder: TempDir,
}

/// A program that has run, and what it asked the organisation.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub cost: Cost,
    pub journal: Journal,
}

impl Rig {
    /// `options` are those of the sandbox.
    pub(crate) fn new(organisation: &Organisation, options: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the bench")?;
        let sandbox = Sandbox::start(organisation, options, folder.path())?;
        let rig = Self { sandbox, folder };
        cost_of(rig.agent()?.arg("init").arg(rig.folder.path().join("agent")))?;
        Ok(rig)
    }

    /// An export of everything, as `agent-host init` sets it up.
    pub(crate) fn export(&mut self) -> anyhow::Result<Run> {
        let mut agent = self.agent_for(&["export"])?;
        self.run(&mut agent)
    }

    /// Adds a file to the agent's mapping.
    pub(crate) fn map(&self, xml: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.path().join("agent/Conf/More.xml"), xml)?)
    }

    /// Orders carried out; the report beside what it cost.
    pub(crate) fn fulfill(&mut self, orders: &str) -> anyhow::Result<(Run, Value)> {
        let path = self.folder.path().join("orders.json");
        fs::write(&path, orders)?;
        let mut agent = self.agent_for(&["fulfill"])?;
        let (cost, report) = cost_and_report_of(agent.arg("--orders").arg(path))?;
        Ok((Run { cost, journal: self.sandbox.take_journal()? }, report))
    }

    /// The ids in an exported table whose line holds this text.
    pub(crate) fn ids(&self, table: &str, holding: &str) -> anyhow::Result<Vec<String>> {
        let path = self.folder.path().join("agent/Temp/ExportOutput").join(format!("{CONNECTION}_{table}.csv"));
        let text = fs::read_to_string(path)?;
        let lines = text.lines().skip(1).filter(|line| line.contains(holding));
        Ok(lines.filter_map(|line| line.split(',').next()).map(str::to_owned).collect())
    }

    /// The agent with a command for the connection.
    fn agent_for(&self, command: &[&str]) -> anyhow::Result<Command> {
        let mut agent = self.command(command)?;
        agent.args([CONNECTION, "--format", "json"]);
        Ok(agent)
    }

    /// The agent with a command.
    pub(crate) fn command(&self, command: &[&str]) -> anyhow::Result<Command> {
        let mut agent = self.agent()?;
        agent
            .arg("--directory")
            .arg(self.folder.path().join("agent"))
            .args(command)
            .env(format!("Connections__{CONNECTION}__Server"), &self.sandbox.url)
            .env(format!("Connections__{CONNECTION}__ApiKey"), TOKEN);
        Ok(agent)
    }

    /// curl getting the same pages one after the other over one connection, and dropping them.
    pub(crate) fn fetch(&mut self, pages: &Journal) -> anyhow::Result<Run> {
        let mut config = format!("header = \"Authorization: SSWS {TOKEN}\"\nheader = {LIGHT:?}\n");
        for page in &pages.0 {
            let mark = if page.query.is_empty() { "" } else { "?" };
            writeln!(config, "url = \"{}{}{mark}{}\"", self.sandbox.url, page.path, page.query)?;
        }
        let path = self.folder.path().join("curl.config");
        fs::write(&path, config)?;
        let mut curl = Command::new("curl");
        curl.args(["-q", "--silent", "--show-error", "--fail", "--fail-early", "--noproxy", "*", "--config"]).arg(path);
        let run =
            self.run(&mut curl).context("getting the pages with curl (where it is missing: `apt install curl`)")?;
        let (asked, got) = ((pages.requests(), pages.bytes()), (run.journal.requests(), run.journal.bytes()));
        ensure!(asked == got, "curl got other pages than the agent: {got:?} requests and bytes instead of {asked:?}");
        Ok(run)
    }

    fn run(&mut self, command: &mut Command) -> anyhow::Result<Run> {
        let cost = cost_of(command)?;
        Ok(Run { cost, journal: self.sandbox.take_journal()? })
    }

    fn agent(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(program("agent-host")?);
        // Not what the environment of whoever measures says.
        command.env_remove("AGENT_DIRECTORY").env_remove("ASPNETCORE_ENVIRONMENT");
        Ok(command)
    }
}
