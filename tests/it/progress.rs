//! How far an export is: bars on a terminal, plain text otherwise; the report is clean either way.

use std::{fs, process::Command, time::Duration};

use acceptance::{CONNECTION, Run, TestAgent, program};
use okta_sandbox::{SandboxConfig, Seed};

fn agent() -> TestAgent {
    let seed = Seed { users: 450, groups: 30, ..Seed::default() };
    TestAgent::with(SandboxConfig { seed, latency: Duration::from_millis(60), ..SandboxConfig::default() })
}

#[test]
fn without_a_terminal_there_are_no_bars() {
    let run = agent().export(&[]).must_exit(0);
    assert_eq!(run.stderr, "");
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
}

/// `script` of util-linux gives the program a terminal; where it is not there, there is nothing to look at.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_there_is_a_bar_for_each_table_and_a_clean_report() {
    let agent = agent();
    let report = agent.beside("report.json");
    let quoted = |path: &std::path::Path| format!("'{}'", path.display());
    let export = format!(
        "{} --directory {} export {CONNECTION} --format json > {}",
        quoted(program()),
        quoted(&agent.directory()),
        quoted(&report)
    );
    let mut script = Command::new("script");
    script.args(["-qec", &export]).arg("/dev/null").env("TERM", "xterm").current_dir(agent.directory());
    let Ok(output) = script.output() else { return println!("no `script` here: no terminal to look at") };
    let terminal = Run::from(output).must_exit(0).stdout;
    for part in ["users [", "groupsusers [", "records", " pages"] {
        assert!(terminal.contains(part), "{part} in {terminal:?}");
    }
    let report = fs::read_to_string(report).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["tables"]["users"]["records"], 450);
}
