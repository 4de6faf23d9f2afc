//! What the product is installed with: the Debian package, the service, the container's recipe.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use acceptance::{TestAgent, cargo_deb, program};
use tempfile::TempDir;

use crate::{password::daemon::Daemon, tidy::root};

fn packaging() -> PathBuf {
    root().join("agent-host/packaging")
}

#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn is_here(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("left out: there is no {program} on this machine");
    }
    found
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A system of its own that packages are installed into: dpkg's own files, and stand-ins for what would change this
/// machine, each of which notes how it was called.
struct System {
    root: PathBuf,
    path: String,
}

impl System {
    fn new(agent: &TestAgent) -> Self {
        let (root, stubs) = (agent.beside("root"), agent.beside("stubs"));
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "run/systemd/system"] {
            fs::create_dir_all(root.join(folder)).expect("the folder is the test's own");
        }
        fs::write(root.join("var/lib/dpkg/status"), "").expect("the folder is the test's own");
        fs::create_dir(&stubs).expect("the folder is the test's own");
        let calls = agent.beside("calls");
        fs::write(&calls, "").expect("the folder is the test's own");
        for stub in ["adduser", "chown", "getent", "ldconfig", "start-stop-daemon", "systemctl"] {
            // There is an account once somebody has made it.
            let answer =
                if stub == "getent" { format!("exec grep -q ^adduser '{}'", calls.display()) } else { String::new() };
            let text = format!("#!/bin/sh\necho \"{stub} $*\" >> '{}'\n{answer}\n", calls.display());
            let stub = stubs.join(stub);
            fs::write(&stub, text).expect("the folder is the test's own");
            fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).expect("the folder is the test's own");
        }
        Self { root, path: format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", stubs.display()) }
    }

    /// Calls dpkg, whose scripts act on this system; what it says, and what they called.
    fn dpkg(&self, arguments: &[&str]) -> (String, Vec<String>) {
        let calls = self.root.with_file_name("calls");
        let before = fs::read_to_string(&calls).expect("the folder is the test's own").len();
        let mut command = Command::new("dpkg");
        command.arg("--root").arg(&self.root).arg("--log").arg(self.root.join("dpkg.log"));
        command.args(["--force-not-root", "--force-script-chrootless", "--force-depends"]);
        let said = output(command.args(arguments).env("PATH", &self.path).env("LC_ALL", "C"));
        let noted = fs::read_to_string(calls).expect("the folder is the test's own");
        let called = noted[before..].lines().map(str::to_owned);
        (said, called.filter(|call| !call.starts_with("getent ")).collect())
    }
}

/// The package of the program that the tests run, as `cargo deb` makes it of one that is built for release, and its folder.
///
/// That is a target folder of its own: there the program lies where a release would, and no package that somebody made
/// is removed.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn package() -> Option<(TempDir, PathBuf)> {
    let Some(cargo_deb) = cargo_deb() else {
        eprintln!("left out: `cargo xtask test` has not installed cargo-deb");
        return None;
    };
    if !is_here("dpkg") || !is_here("dpkg-shlibdeps") {
        return None;
    }
    let target = tempfile::tempdir().expect("a temporary folder can be made");
    fs::create_dir(target.path().join("release")).expect("the folder is the test's own");
    symlink(program(), target.path().join("release/agent-host")).expect("the folder is the test's own");
    let mut command = Command::new(cargo_deb);
    command.args(["--package", "agent-host", "--offline", "--locked", "--no-build", "--strip", "--fast"]);
    let made = output(command.env("CARGO_TARGET_DIR", target.path()).current_dir(root()));
    Some((target, made.trim().into()))
}

#[test]
fn the_package_is_installed_started_upgraded_removed_and_leaves_the_agent_directory() {
    let Some((_folder, package)) = package() else { return };
    let agent = TestAgent::new();
    let field = |name: &str| output(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name)).trim().to_owned();
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    // The C library as new as this program wants it, and what cannot be seen in it.
    assert!(field("Depends").starts_with("adduser, ca-certificates, libc6 (>= "), "{}", field("Depends"));
    let system = System::new(&agent);
    let (inside, home) = (&system.root, system.root.join("var/lib/agent-host"));
    let (said, called) = system.dpkg(&["--install", package.to_str().unwrap()]);
    assert!(said.contains("set Server and ApiKey in /var/lib/agent-host/appsettings.agent.json"), "{said}");
    let account = "adduser --quiet --system --group --home /var/lib/agent-host --no-create-home agent-host".to_owned();
    let owned = format!("chown -R agent-host:agent-host {}", home.display());
    let restarted = ["systemctl daemon-reload", "systemctl try-restart agent-host.service"].map(str::to_owned);
    assert_eq!(called, [&[account, owned], &restarted[..]].concat());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home), mode(&inside.join("usr/bin/agent-host"))), (0o750, 0o755));
    for file in [
        "README.md",
        "copyright",
        "LICENSE-MIT",
        "examples/monitoring/alerts.yml",
        "examples/okta/appsettings.agent.json",
    ] {
        assert!(inside.join("usr/share/doc/agent-host").join(file).is_file(), "{file}");
    }

    // Filled in, the service starts what the package installs, where it was installed.
    fs::copy(agent.directory().join("appsettings.agent.json"), home.join("appsettings.agent.json")).unwrap();
    let unit = fs::read_to_string(inside.join("usr/lib/systemd/system/agent-host.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let of_unit = "Environment=AGENT_DIRECTORY=/var/lib/agent-host";
    assert!(unit.lines().any(|line| line == of_unit), "{unit}");
    let mut words = line.split(' ');
    let mut command = Command::new(inside.join(words.next().unwrap().trim_start_matches('/')));
    command.args(words).env_clear().env("AGENT_DIRECTORY", &home).stdin(Stdio::null()).stderr(Stdio::piped());
    let daemon = Daemon::start(command);
    assert_eq!(daemon.ask("GET", "/readyz", "", "").status, 200);
    daemon.end();

    // The same again, as an upgrade does: nothing of the operator's is touched, and the service is not switched off.
    let (_, called) = system.dpkg(&["--install", package.to_str().unwrap()]);
    let changes: Vec<&String> = called.iter().filter(|call| *call != "systemctl daemon-reload").collect();
    assert_eq!(changes, ["systemctl try-restart agent-host.service"], "{called:?}");
    let filled_in = fs::read(agent.directory().join("appsettings.agent.json")).unwrap();
    assert_eq!(fs::read(home.join("appsettings.agent.json")).unwrap(), filled_in);

    let (_, called) = system.dpkg(&["--remove", "agent-host"]);
    assert_eq!(called, ["systemctl disable --now agent-host.service", "systemctl daemon-reload"]);
    assert!(!inside.join("usr/bin/agent-host").exists() && home.join("appsettings.agent.json").exists());
    // Where systemd is not at work, nobody asks it.
    fs::remove_dir_all(inside.join("run/systemd")).unwrap();
    let (said, called) = system.dpkg(&["--purge", "agent-host"]);
    assert!(said.contains("/var/lib/agent-host is left") && called.is_empty(), "{said} {called:?}");
    assert!(home.join("appsettings.agent.json").exists());
    fs::remove_dir_all(inside).unwrap();
}

#[test]
fn the_service_is_sound_and_leaves_little_to_whoever_breaks_in() {
    if !is_here("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(packaging().join("systemd/agent-host.service")).unwrap();
    let here = folder.path().join("agent-host.service");
    let program = program().to_str().unwrap();
    fs::write(&here, unit.replace("/usr/bin/agent-host", program)).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&here).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // A systemd before 253 reloads by the signal alone.
    let about_it = said.lines().filter(|line| line.contains("agent-host.service") && !line.contains("notify-reload"));
    let about_it: Vec<&str> = about_it.collect();
    assert!(about_it.is_empty(), "{about_it:?}");
    let exposed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(&here)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&exposed.stdout), String::from_utf8_lossy(&exposed.stderr));
    assert!(exposed.status.success(), "{said}");
    for line in [
        "Type=notify-reload",
        "WatchdogSec=120",
        "StartLimitIntervalSec=0",
        "User=agent-host",
        "StateDirectory=agent-host",
    ] {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
}

#[test]
fn the_scripts_of_the_package_are_understood_by_a_shell() {
    for script in ["postinst", "prerm", "postrm"] {
        output(Command::new("sh").arg("-n").arg(packaging().join("debian").join(script)));
    }
}

/// No engine runs here: what can be read is checked.
#[test]
fn the_containers_recipe_runs_as_nobody_in_particular_and_asks_for_health() {
    let recipe = fs::read_to_string(packaging().join("container/Containerfile")).unwrap();
    let of = |word: &str| recipe.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect::<Vec<_>>();
    assert_eq!(of("FROM ").len(), 2, "what builds is not what runs");
    assert!(of("FROM ").iter().all(|image| image.contains(':') && !image.contains(":latest")));
    assert_eq!(of("USER "), ["10001"]);
    assert!(recipe.rfind("\nUSER ") < recipe.rfind("\nENTRYPOINT "));
    assert!(recipe.contains("HEALTHCHECK ") && recipe.contains("GET /healthz"));
    assert_eq!(of("ENTRYPOINT "), [r#"["/usr/bin/agent-host"]"#]);
    let rust = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = rust.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(of("FROM ")[0].contains(&format!("rust:{version}")), "the compiler is the one of Cargo.toml");
    assert!(!recipe.to_lowercase().contains("apikey"), "no secret is baked in");
}
