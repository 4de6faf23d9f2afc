//! A PostgreSQL of its own for each process of tests, and a database for each test in it; one for a test alone, where it
//! stops it and starts it again.
//!
//! It is reached by a socket in its folder alone, and is stopped and removed when the process ends, however that
//! happens: a shell that waits for the end of its standard input sees to that. Where no PostgreSQL is installed there is
//! none, and tests say so.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long making, starting and stopping a cluster may take.
const PATIENCE: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A server with its databases.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// Its shell, which waits for the end of its standard input.
    shell: Child,
}

/// The address of a new, empty database; none where PostgreSQL is not installed, which is said.
///
/// # Panics
/// Where it is installed and does not start.
pub fn database() -> Option<String> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start).as_ref().map(Cluster::database)
}

impl Cluster {
    /// A cluster that runs, and goes with this; none where PostgreSQL is not installed, which is said.
    ///
    /// # Panics
    /// Where it is installed and does not start.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().expect("a folder can be made").keep();
        let mut shell = Command::new("sh");
        shell.args(["-c", include_str!("cluster.sh"), "cluster"]).args([&programs, &folder]);
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        let shell = shell.stdin(Stdio::piped()).spawn().expect("there is a shell");
        let cluster = Self { programs, folder, shell };
        cluster.wait_until("PostgreSQL does not start", || cluster.create("first"));
        Some(cluster)
    }

    /// The address of a new, empty database.
    ///
    /// # Panics
    /// Where it is not made.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        assert!(self.create(&name), "the database `{name}` is not made");
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres:unneeded-password@{folder}/{name}")
    }

    /// Stops it as an upgrade of the server does: whoever is connected is cut off.
    ///
    /// # Panics
    /// Where it goes on.
    pub fn go_down(&mut self) {
        self.wish("stop");
        self.wait_until("PostgreSQL does not stop", || !self.socket().exists());
    }

    /// Starts it again, with the databases it had; it takes a moment until it answers.
    ///
    /// # Panics
    /// Where its shell is gone.
    pub fn come_back(&mut self) {
        self.wish("start");
    }

    fn wish(&mut self, wish: &str) {
        let shell = self.shell.stdin.as_mut().expect("it is piped");
        writeln!(shell, "{wish}").expect("the shell reads it");
    }

    fn wait_until(&self, told: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "{told}: {}", log());
            thread::sleep(BETWEEN_TRIES);
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    fn create(&self, database: &str) -> bool {
        if !self.socket().exists() {
            return false;
        }
        let mut create = Command::new(self.programs.join("createdb"));
        create.arg("--host").arg(&self.folder).args(["--username", "postgres", database]);
        create.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // What it leaves behind is a folder of temporary files.
        let _ = self.shell.wait();
    }
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed.max_by_key(|path| version(path)).map(|path| path.join("bin"));
    let found = newest.filter(|programs| programs.join("initdb").exists());
    if found.is_none() {
        print_left_out();
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
fn print_left_out() {
    eprintln!("PostgreSQL is not installed: what needs it is left out");
}
