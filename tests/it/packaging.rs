//! What the product is installed with: the Debian package, the service, the container's recipe.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use acceptance::{CONNECTION, TestAgent, program};

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

#[test]
fn the_package_installs_into_a_root_and_its_program_starts_from_there() {
    if !is_here("dpkg-deb") {
        return;
    }
    let agent = TestAgent::new();
    let built =
        output(Command::new(packaging().join("debian/build")).arg(program()).arg(agent.beside("deb")).arg("none"));
    let package = Path::new(built.trim());
    let control = output(Command::new("dpkg-deb").arg("--info").arg(package));
    assert!(
        control.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"))) && !control.contains("@SIZE@"),
        "{control}"
    );
    let inside = agent.beside("root");
    output(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&inside));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inside), mode(&inside.join("usr/bin/agent-host"))), (0o755, 0o755));
    for file in ["README.md", "copyright", "examples/monitoring/alerts.yml", "examples/okta/appsettings.agent.json"] {
        assert!(inside.join("usr/share/doc/agent-host").join(file).is_file(), "{file}");
    }

    // The service starts what the package installs.
    let unit = fs::read_to_string(inside.join("usr/lib/systemd/system/agent-host.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let mut words = line.split(' ');
    let mut command = Command::new(inside.join(words.next().unwrap().trim_start_matches('/')));
    command
        .args(words)
        .env_clear()
        .env("AGENT_DIRECTORY", agent.directory())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let daemon = Daemon::start(command);
    assert_eq!(daemon.ask("GET", "/readyz", "", "").status, 200);
    agent.run(&["job", "start", &format!("export:{CONNECTION}")]).must_exit(0);
    daemon.end();
    fs::remove_dir_all(inside).unwrap();
    fs::remove_file(package).unwrap();
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
    for script in ["build", "postinst", "prerm", "postrm"] {
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
