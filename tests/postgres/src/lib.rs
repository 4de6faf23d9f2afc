//! A PostgreSQL of its own for each process of tests, and a database for each test in it.
//!
//! It is reached by a socket in its folder alone, and is stopped and removed when the process ends, however that
//! happens: a shell that waits for the end of its standard input sees to that. Where no PostgreSQL is installed there is
//! none, and tests say so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long making and starting a cluster may take.
const PATIENCE: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// What its shell waits for the end of.
    _held: ChildStdin,
}

/// The address of a new, empty database; none where PostgreSQL is not installed, which is said.
///
/// # Panics
/// Where it is installed and does not start.
pub fn database() -> Option<String> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let cluster = CLUSTER.get_or_init(|| programs().map(start)).as_ref()?;
    let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    assert!(cluster.create(&name), "the database `{name}` is not made");
    let folder = cluster.folder.display().to_string().replace('/', "%2F");
    Some(format!("postgres://postgres:unneeded-password@{folder}/{name}"))
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

fn start(programs: PathBuf) -> Cluster {
    let folder = tempfile::Builder::new().prefix("pg-").tempdir().expect("a folder can be made").keep();
    let mut shell = Command::new("sh");
    shell.args(["-c", include_str!("cluster.sh"), "cluster"]).args([&programs, &folder]);
    let mut running = shell.stdin(Stdio::piped()).spawn().expect("there is a shell");
    let cluster = Cluster { programs, folder, _held: running.stdin.take().expect("it is piped") };
    let began = Instant::now();
    while !cluster.create("first") {
        let log = || fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start: {}", log());
        thread::sleep(BETWEEN_TRIES);
    }
    cluster
}

impl Cluster {
    fn create(&self, database: &str) -> bool {
        if !self.folder.join(".s.PGSQL.5432").exists() {
            return false;
        }
        let mut create = Command::new(self.programs.join("createdb"));
        create.arg("--host").arg(&self.folder).args(["--username", "postgres", database]);
        create.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}
