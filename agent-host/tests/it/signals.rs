//! A signal during an export: it ends, not with success, and the former set and nothing else is there.

#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use okta_sandbox::{Fault, FaultAction, Sandbox, SandboxConfig};

use super::agent_host;

const CONNECTION: &str = "OktaExportFulfillment";

/// Everything below a folder, what is hidden too, and links as what they lead to.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it can be read").path());
    let below = |path: PathBuf| match path.is_dir() {
        true => contents(&path),
        false => BTreeMap::from([(path.clone(), fs::read(&path).expect("it is a file"))]),
    };
    paths.flat_map(below).collect()
}

#[test]
fn an_interrupted_export_tidies_up_and_fails() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(SandboxConfig::default())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("agent");
    agent_host::init::init(&directory).unwrap();
    let settings = serde_json::json!({ "Connections": {
        CONNECTION: { "Server": sandbox.url(), "ApiKey": sandbox.token() }
    } });
    fs::write(directory.join("appsettings.agent.json"), settings.to_string()).unwrap();
    let export = || {
        let mut command = agent_host();
        command.arg("--directory").arg(&directory).args(["export", CONNECTION, "--format", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    assert!(export().status().unwrap().success());
    let former = contents(&directory);
    let sets = directory.join(format!("Temp/ExportOutput/.{CONNECTION}"));

    for signal in ["-INT", "-TERM"] {
        // No answer comes: without the signal this export would not end.
        sandbox.add_fault(Fault::new(FaultAction::SlowFirstByte(Duration::from_secs(600))).on("GET", "/api").always());
        let began = Instant::now();
        let child = export().spawn().unwrap();
        // It has begun when there is a second set beside the lock, the current set and the link to it.
        while fs::read_dir(&sets).unwrap().count() < 4 {
            assert!(began.elapsed() < Duration::from_secs(30), "the export begins");
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        sandbox.clear_faults();
        assert!(began.elapsed() < Duration::from_secs(30), "{signal} ends it at once");
        assert_eq!(output.status.code(), Some(1), "{signal}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("error: interrupted before it was done; "), "{errors}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(r#""kind":"interrupted""#));
        assert_eq!(contents(&directory), former, "{signal}");
    }
}
