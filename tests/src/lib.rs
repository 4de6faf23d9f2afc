//! What the tests of the whole product share: an agent directory, an organisation for it, and the program.
//!
//! A [`TestAgent`] is what an integrator has: a directory as `agent-host init` writes it, with the address and the token
//! of an organisation, here a sandbox on loopback. The program is run as a process of its own, with an environment of
//! its own, and judged by what it leaves: exit code, stdout, stderr, files.

mod chance;
pub mod agents;
pub mod browser;
pub mod http;
pub mod orders;
mod secrets;
mod program;

pub use chance::Chance;
pub use program::{Run, cargo_deb, program, python};
pub use secrets::{assert_folder_unseen, watch, watch_mail};

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use okta_sandbox::{Org, Sandbox, SandboxConfig, Seed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The connection of the samples.
pub const CONNECTION: &str = "OktaExportFulfillment";
/// All tables of it.
pub const TABLES: [&str; 5] = ["users", "groups", "apps", "groupsusers", "groupsapps"];

/// The files that readers of an output folder find, and what is in them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An agent directory and the organisation it leads to.
#[derive(Debug)]
pub struct TestAgent {
    /// The organisation.
    pub sandbox: Sandbox,
    /// What the test wrote, secrets and all.
    written: RefCell<BTreeMap<PathBuf, String>>,
    folder: TempDir,
    // Serves the sandbox; the last to go.
    _runtime: Runtime,
}

impl Default for TestAgent {
    fn default() -> Self {
        Self::with(SandboxConfig::default())
    }
}

impl TestAgent {
    /// An agent for a small organisation.
    pub fn new() -> Self {
        Self::default()
    }

    /// An agent for an organisation with these records.
    pub fn seeded(seed: Seed) -> Self {
        Self::with(SandboxConfig { seed, ..SandboxConfig::default() })
    }

    /// An agent for this sandbox.
    pub fn with(config: SandboxConfig) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime starts");
        let sandbox = runtime.block_on(Sandbox::start(config)).expect("the sandbox starts");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        agent_host::init::init(&folder.path().join("agent")).expect("an agent directory is written");
        watch(sandbox.token());
        let agent = Self { sandbox, written: RefCell::default(), folder, _runtime: runtime };
        let connection = json!({ "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() });
        // The sample's job would begin by the machine's clock.
        agent.write("appsettings.json", "{}");
        agent.write("appsettings.agent.json", &json!({ "Connections": { CONNECTION: connection } }).to_string());
        agent
    }

    /// The agent directory.
    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// A path beside the agent directory, for what a test needs else.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where exports go when nothing else is said.
    pub fn output(&self) -> PathBuf {
        self.directory().join("Temp").join("ExportOutput")
    }

    /// Writes a file of the agent directory.
    pub fn write(&self, path: &str, text: &str) {
        self.write_at(self.directory().join(path), text);
    }

    /// Writes a file beside the agent directory.
    pub fn write_beside(&self, path: &str, text: &str) {
        self.write_at(self.beside(path), text);
    }

    fn write_at(&self, path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
        fs::write(&path, text).expect("the file can be written");
        self.written.borrow_mut().insert(path, text.to_owned());
    }

    /// Sets one setting of the connection; null removes it.
    pub fn set(&self, key: &str, value: Value) {
        let path = self.directory().join("appsettings.agent.json");
        let text = fs::read_to_string(&path).expect("the settings can be read");
        let mut settings: Value = serde_json::from_str(&text).expect("the settings are JSON");
        let connection = settings["Connections"][CONNECTION].as_object_mut().expect("there is the connection");
        if value.is_null() {
            connection.remove(key);
        } else {
            connection.insert(key.to_owned(), value);
        }
        self.write_at(path, &settings.to_string());
    }

    /// Replaces the mapping by these elements.
    pub fn map(&self, elements: &str) {
        let conf = self.directory().join("Conf");
        if conf.exists() {
            fs::remove_dir_all(conf).expect("the former mapping can be removed");
        }
        let open = r#"<ConfigurationFile xmlns="urn:schemas-usercube-com:configuration">"#;
        let connector = r#"<Connector Identifier="Okta" DisplayName_L1="Okta" />"#;
        self.write("Conf/Okta.xml", &format!("{open}\n{connector}\n{elements}\n</ConfigurationFile>\n"));
    }

    /// Asks or changes the organisation.
    pub fn org<T>(&self, change: impl FnOnce(&mut Org) -> T) -> T {
        self.sandbox.with_org(change)
    }

    /// The program with these arguments, working on the agent directory, in an environment without surprises.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--directory").arg(self.directory()).args(arguments).current_dir(self.folder.path());
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Runs the program with this on its stdin. What is given to `protect` is a secret from then on.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        if arguments.first() == Some(&"protect") {
            input.lines().for_each(watch);
        }
        self.with_input(self.command(arguments), input)
    }

    /// Runs a command with this on its stdin.
    pub fn with_input(&self, mut command: Command, input: &str) -> Run {
        let mut running = command.stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = running.stdin.take().expect("stdin is a pipe");
        // A program that refuses its arguments does not read to the end.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Run::ended(&command, running.wait_with_output().expect("the program ends"))
    }

    /// Exports the connection with further arguments.
    pub fn export(&self, further: &[&str]) -> Run {
        self.run(&[&["export", CONNECTION], further].concat())
    }

    /// Exports the connection, which must succeed; the report.
    pub fn exported(&self, further: &[&str]) -> Value {
        self.export(&[&["--format", "json"], further].concat()).must_exit(0).json()
    }

    /// Writes an order file into the connection's folder.
    pub fn order_file(&self, name: &str, text: &str) {
        self.write(&format!("Work/ProvisioningOrders/{CONNECTION}/{name}"), text);
    }

    /// The folder of the connection's orders.
    pub fn orders_folder(&self) -> PathBuf {
        self.directory().join("Work/ProvisioningOrders").join(CONNECTION)
    }

    /// Carries out the connection's orders with further arguments.
    pub fn fulfill(&self, further: &[&str]) -> Run {
        self.run(&[&["fulfill", CONNECTION], further].concat())
    }

    /// Carries out these orders and gives their results by name.
    #[track_caller]
    pub fn fulfilled(&self, orders: &[Value], code: i32) -> BTreeMap<String, (String, String)> {
        self.order_file("orders.json", &orders::list(orders));
        let report = self.fulfill(&["--format", "json"]).must_exit(code).json();
        let path = report["results"].as_str().expect("there are results");
        orders::results(&fs::read_to_string(path).expect("the results can be read"))
    }

    /// What readers of the output folder find.
    pub fn published(&self) -> Files {
        files(&self.output())
    }

    /// A table's file as text.
    pub fn csv(&self, table: &str) -> String {
        let path = self.output().join(csv_name(table));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A table's first line.
    pub fn header(&self, table: &str) -> String {
        self.csv(table).lines().next().unwrap_or_default().to_owned()
    }

    /// The manifest.
    pub fn manifest(&self) -> Value {
        let path = self.output().join(format!("{CONNECTION}_export.json"));
        let text = fs::read_to_string(path).expect("there is a manifest");
        serde_json::from_str(&text).expect("the manifest is JSON")
    }
}

/// Nothing that was left in the agent's folder shows a secret.
impl Drop for TestAgent {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrets::watch_mails_below(self.folder.path());
            assert_folder_unseen(self.folder.path(), &self.written.borrow());
        }
    }
}

/// The file of a table.
pub fn csv_name(table: &str) -> String {
    format!("{CONNECTION}_{table}.csv")
}

/// What readers of a folder find: the files without those whose names start with a dot.
pub fn files(folder: &Path) -> Files {
    let Ok(entries) = fs::read_dir(folder) else { return Files::new() };
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let named = paths.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path));
    let shown = named.filter(|(name, _)| !name.starts_with('.'));
    shown.map(|(name, path)| (name, fs::read(path).expect("every name leads to a file"))).collect()
}

/// Everything below a folder, hidden or not: paths, and where links lead. Sets are numbered as chance has it.
pub fn listing(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(open) = folders.pop() {
        for entry in fs::read_dir(&open).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let name = path.strip_prefix(folder).expect("it is below").display().to_string();
            match fs::read_link(&path) {
                Ok(target) => lines.push(format!("{name} -> {}", target.display())),
                Err(_) => lines.push(name),
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    lines.iter_mut().for_each(|line| *line = line.replace(|c: char| c.is_ascii_digit(), "N"));
    lines.sort();
    lines
}
