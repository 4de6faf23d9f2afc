//! Help, version and wrong arguments.

use std::process::Output;

use super::agent_host;

const COMMANDS: [&str; 5] = ["demo", "init", "check", "export", "refresh-schema"];

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = agent_host().args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn every_command_has_help_with_an_example_of_itself() {
    for command in COMMANDS {
        for arguments in [[command, "--help"], ["help", command]] {
            let (code, help, errors) = run(&arguments);
            assert_eq!((code, errors.as_str()), (Some(0), ""), "{arguments:?}");
            let examples = help.split("Example").nth(1).unwrap_or_default();
            assert!(examples.contains(&format!("agent-host {command}")), "{arguments:?}: {help}");
            for option in ["--directory", "--format", "--log-format", "--verbose", "--help"] {
                assert!(help.contains(option), "{option} in {help}");
            }
        }
    }
}

#[test]
fn the_program_shows_its_commands_exit_codes_and_examples() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for part in COMMANDS.iter().chain(&["Exit codes:", "7 refused by a safety limit", "agent-host init"]) {
        assert!(help.contains(part), "{part} in {help}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let expected = concat!("agent-host ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(&["--version"]), (Some(0), expected.to_owned(), String::new()));
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_is_wrong() {
    for (arguments, part) in [
        (&[][..], "Usage: agent-host"),
        (&["explode"], "'explode'"),
        (&["exprot"], "'export'"),
        (&["export"], "<CONNECTION>"),
        (&["init"], "<DIR>"),
        (&["refresh-schema"], "<CONNECTION>"),
        (&["export", "Okta", "--tabel", "users"], "'--table'"),
        (&["export", "Okta", "--table"], "'--table <NAME>'"),
        (&["export", "Okta", "Other"], "'Other'"),
        (&["check", "--format", "yaml"], "'yaml'"),
        (&["check", "--log-format", "xml"], "'xml'"),
    ] {
        let (code, output, errors) = run(arguments);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(errors.contains(part), "{part} in {errors}");
    }
}

#[test]
fn common_options_stand_before_or_after_the_command() {
    for arguments in [["--directory", "nowhere", "check"], ["check", "--directory", "nowhere"]] {
        let (code, _, errors) = run(&arguments);
        assert_eq!(code, Some(3), "{arguments:?}");
        assert!(errors.starts_with("error: there is no agent directory `nowhere`; "), "{errors}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_is_a_failure_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = agent_host().args(["init", "agent"]).current_dir(folder.path()).stdout(full).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: all is done, but the report cannot be written to stdout: "), "{errors}");
    assert!(folder.path().join("agent/appsettings.json").exists());
}

#[test]
fn wrong_arguments_are_an_object_where_json_is_asked_for() {
    for arguments in [&["export", "--format", "json"][..], &["--format=json", "no-such-command"]] {
        let (code, report, errors) = run(arguments);
        assert!(code == Some(2) && errors.starts_with("error: "), "{arguments:?}: {errors}");
        assert!(report.starts_with(r#"{"error":{"kind":"usage","message":""#), "{arguments:?}: {report}");
    }
}
