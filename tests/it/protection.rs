//! Settings that are protected, as the one sees it who runs the agent.

use std::{fs, process::Command};

use acceptance::{CONNECTION, Run, TestAgent};
use serde_json::{Value, json};

const API_KEY: &str = "Connections:OktaExportFulfillment:ApiKey";
const ENCRYPTED: &str = "appsettings.encrypted.agent.json";

/// An agent with a key, its token protected and nowhere in the clear.
fn protected() -> TestAgent {
    let agent = TestAgent::new();
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.write("appsettings.json", &settings(json!({ "UseEncryptedAppsettings": true })));
    let value = protect(&agent, API_KEY, agent.sandbox.token());
    agent.write(ENCRYPTED, &connection(&value));
    agent.set("ApiKey", Value::Null);
    agent
}

#[expect(clippy::needless_pass_by_value, reason = "so that `json!` can stand in the call")]
fn settings(certificate: Value) -> String {
    json!({ "EncryptionCertificate": certificate, "ProtectionKey": { "File": "protection.key" } }).to_string()
}

fn connection(api_key: &str) -> String {
    json!({ "Connections": { CONNECTION: { "ApiKey": api_key } } }).to_string()
}

fn protect(agent: &TestAgent, path: &str, value: &str) -> String {
    let run = agent.run_with_input(&["protect", "value", "--path", path], &format!("{value}\n")).must_exit(0);
    run.stdout.trim_end().to_owned()
}

#[test]
fn a_protected_token_works_and_wins_over_the_plain_one() {
    let agent = protected();
    agent.run(&["check"]).must_exit(0);
    agent.set("ApiKey", json!("wrong-and-plain"));
    agent.run(&["check"]).must_exit(0);
    let mut command = agent.command(&["check"]);
    command.env("EncryptionCertificate__UseEncryptedAppsettings", "false");
    Run::of(command).must_exit(4);
    // A value of ours is opened wherever it stands; a variable wins over all.
    let value = protect(&agent, API_KEY, agent.sandbox.token());
    fs::remove_file(agent.directory().join(ENCRYPTED)).unwrap();
    agent.write("appsettings.json", &settings(json!({})));
    agent.set("ApiKey", json!(value));
    agent.run(&["check"]).must_exit(0);
    agent.set("ApiKey", json!("wrong-and-plain"));
    let mut command = agent.command(&["check"]);
    command.env("Connections__OktaExportFulfillment__ApiKey", value);
    Run::of(command).must_exit(0);
}

#[test]
fn overlays_of_the_encrypted_files_belong_to_their_environment() {
    let agent = protected();
    let wrong = protect(&agent, API_KEY, "wrong-token-of-staging");
    agent.write("appsettings.encrypted.agent.Staging.json", &connection(&wrong));
    agent.run(&["check"]).must_exit(0);
    let mut command = agent.command(&["check"]);
    command.env("ASPNETCORE_ENVIRONMENT", "Staging");
    Run::of(command).must_exit(4);
}

#[test]
fn everything_unusable_is_told_at_once_and_shown_nowhere() {
    let agent = protected();
    let moved = protect(&agent, API_KEY, "00moved-secret");
    let good = protect(&agent, "Connections:Two:ApiKey", "00good-secret");
    let text = format!(
        "{{ \"Connections\": {{\n\"One\": {{ \"ApiKey\": \"{moved}\" }},\n\"Two\": {{ \"ApiKey\": \"{}\" }},\n\
         \"Three\": {{ \"ApiKey\": \"00plain-secret\", \"Limit\": 5, \"Nothing\": null }},\n\
         \"Four\": {{ \"ApiKey\": \"prot9:AAAA\" }} }} }}",
        &good[..good.len() - 4]
    );
    agent.write(ENCRYPTED, &text);
    let run = agent.run(&["check"]).must_exit(3);
    let problems: Vec<&str> = run.stderr.lines().filter_map(|line| line.strip_prefix("problem: ")).collect();
    let expected = [
        ":2:20: `Connections:One:ApiKey` was protected for another setting",
        ":3:20: `Connections:Two:ApiKey` is a protected value that was altered or cut",
        ":4:22: `Connections:Three:ApiKey` is not protected",
        ":4:49: `Connections:Three:Limit` is not protected",
        ":5:21: `Connections:Four:ApiKey` is protected in the format `prot9`",
    ];
    assert_eq!(problems.len(), expected.len(), "{}", run.stderr);
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(&format!("{ENCRYPTED}{expected}")), "{problem}");
    }
    assert_eq!(run.failure(), "5 settings are unusable; correct each of them");
    let report = agent.run(&["check", "--format", "json"]).must_exit(3);
    let message = report.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(expected.iter().all(|expected| message.contains(expected)), "{message}");
    for text in [&run.stderr, &report.stdout, &report.stderr] {
        assert!(!text.contains("secret\"") && !text.contains("00plain") && !text.contains(&moved[8..40]), "{text}");
    }
}

#[test]
fn a_whole_file_is_protected_opened_and_rotated() {
    let agent = TestAgent::new();
    agent.run_with_input(&["protect", "new-certificate"], "pfx-Erst-4711\n").must_exit(0);
    agent.write(
        "appsettings.json",
        &json!({ "EncryptionCertificate":
            { "File": "agent.pfx", "Password": "pfx-Erst-4711", "UseEncryptedAppsettings": true } })
        .to_string(),
    );
    agent.set("MaxConcurrency", json!(3));
    agent.set("Tables", json!(["users", "groups"]));
    let plain = fs::read_to_string(agent.directory().join("appsettings.agent.json")).unwrap();
    let commented = plain.replacen('{', "{ // the former token was 00former-secret\n", 1);
    agent.write("appsettings.agent.json", &commented);
    let files = ["--in", "appsettings.agent.json", "--out", ENCRYPTED];
    agent.run(&[&["protect", "file"], &files[..]].concat()).must_exit(0);
    let encrypted = agent.directory().join(ENCRYPTED);
    let protected = fs::read_to_string(&encrypted).unwrap();
    assert_eq!(protected.matches("\"prot1:").count(), 5, "{protected}");
    assert!(!protected.contains(agent.sandbox.token()) && !protected.contains("former"), "{protected}");
    assert_private(&encrypted);

    let again = agent.run(&[&["protect", "file"], &files[..]].concat()).must_exit(3);
    assert!(again.failure().contains("is there already"), "{}", again.failure());
    let twice = agent.run(&["protect", "file", "--in", ENCRYPTED, "--out", "twice.json"]).must_exit(3);
    assert!(twice.stderr.contains("is protected already") && !agent.directory().join("twice.json").exists());

    agent.write("appsettings.agent.json", "{}");
    let exported = |agent: &TestAgent| agent.exported(&[])["tables"].as_object().unwrap().len();
    assert_eq!(exported(&agent), 2);
    agent.run(&["unprotect", "file", "--in", ENCRYPTED, "--out", "opened.json"]).must_exit(0);
    let opened: Value =
        serde_json::from_str(&fs::read_to_string(agent.directory().join("opened.json")).unwrap()).unwrap();
    assert_eq!(opened["Connections"][CONNECTION]["MaxConcurrency"], "3");
    assert_private(&agent.directory().join("opened.json"));
    fs::remove_file(agent.directory().join("opened.json")).unwrap();

    // Commented by hand, which a rotation keeps.
    fs::write(&encrypted, protected.replacen('{', "{ // ours\n", 1)).unwrap();
    agent.run_with_input(&["protect", "new-certificate", "--out", "new.pfx"], "second password\n").must_exit(0);
    let wrong = agent.run_with_input(&["protect", "rotate", "--to", "new.pfx"], "wrong password\n").must_exit(3);
    assert!(wrong.failure().contains("new.pfx") && wrong.failure().contains("this password"), "{}", wrong.failure());
    for _ in 0..2 {
        // The second time it finds everything done, as after a rotation that was cut off.
        let run =
            agent.run_with_input(&["protect", "rotate", "--to", "new.pfx", "--format", "json"], "second password\n");
        assert_eq!(run.must_exit(0).json()["written"][0]["values"], 5);
    }
    let rotated = fs::read_to_string(&encrypted).unwrap();
    assert!(rotated.contains("// ours") && rotated.lines().count() == protected.lines().count() + 1);
    let run = agent.run(&["check"]).must_exit(3);
    assert!(run.stderr.contains("was protected with another certificate or key"), "{}", run.stderr);
    agent.write(
        "appsettings.json",
        &json!({ "EncryptionCertificate": { "File": "new.pfx", "UseEncryptedAppsettings": true } }).to_string(),
    );
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("EncryptionCertificate__Password", "second password");
    Run::of(command).must_exit(0);
}

#[test]
fn the_certificates_password_may_be_protected_with_a_key() {
    let agent = TestAgent::new();
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.run_with_input(&["protect", "new-certificate"], "00password-of-the-file\n").must_exit(0);
    agent.write("appsettings.json", &settings(json!({})));
    let password = protect(&agent, "EncryptionCertificate:Password", "00password-of-the-file");
    agent.write("appsettings.json", &settings(json!({ "File": "agent.pfx", "Password": password })));
    let value = protect(&agent, API_KEY, agent.sandbox.token());
    assert!(value.len() > 500, "it is made with the certificate");
    agent.set("ApiKey", json!(value));
    agent.run(&["check"]).must_exit(0);
}

#[test]
fn keys_come_from_a_file_a_credential_or_a_variable_and_not_from_the_settings() {
    let agent = TestAgent::new();
    agent.run(&["protect", "new-key", "--out", "protection-key"]).must_exit(0);
    let key = fs::read_to_string(agent.directory().join("protection-key")).unwrap();
    let mut command = agent.command(&["protect", "value", "--path", API_KEY]);
    command.env("ProtectionKey__Value", key.trim());
    let value = agent.with_input(command, agent.sandbox.token()).must_exit(0).stdout;
    agent.set("ApiKey", json!(value.trim()));
    let run = agent.run(&["check"]).must_exit(3);
    assert!(run.failure().contains("needs a certificate or a key"), "{}", run.failure());
    let mut command = agent.command(&["check"]);
    command.env("CREDENTIALS_DIRECTORY", agent.directory());
    Run::of(command).must_exit(0);
    agent.write("appsettings.json", &json!({ "ProtectionKey": { "Value": key.trim() } }).to_string());
    let run = agent.run(&["check"]).must_exit(3);
    assert!(run.failure().contains("is a key in a file") && !run.stderr.contains(key.trim()), "{}", run.stderr);
}

#[test]
fn values_are_not_taken_from_the_command_line_unless_insisted_on() {
    let agent = protected();
    for arguments in [&["protect", "value", "00secretvalue"][..], &["protect", "value", "--value", "00secretvalue"]] {
        let run = agent.run(arguments).must_exit(2);
        assert!(!run.stderr.contains("00secretvalue") && run.stderr.contains("stdin"), "{}", run.stderr);
        let run = agent.run(&[arguments, &["--any-path", "--insecure-argument"]].concat()).must_exit(0);
        assert!(run.stdout.starts_with("prot1:") && run.stderr.contains("shell's history"), "{}", run.stderr);
    }
    agent.run(&["protect", "value", "--any-path"]).must_exit(2);
    let run = agent.run_with_input(&["protect", "value"], "one\ntwo\n").must_exit(0);
    assert!(run.stdout.lines().count() == 2 && run.stderr.contains("under every key"), "{}", run.stderr);
}

/// What the README shows, line by line.
#[test]
fn a_token_is_protected_in_three_lines() {
    let agent = TestAgent::new();
    agent.set("ApiKey", Value::Null);
    let with_key = |arguments: &[&str]| {
        let mut command = agent.command(arguments);
        command.env("ProtectionKey__File", "protection.key");
        command
    };
    agent.run(&["protect", "new-key"]).must_exit(0);
    let value = with_key(&["protect", "value", "--path", API_KEY]);
    let value = agent.with_input(value, agent.sandbox.token()).must_exit(0).stdout;
    agent.set("ApiKey", json!(value.trim()));
    Run::of(with_key(&["check"])).must_exit(0);
    agent.write("appsettings.json", r#"{ "ProtectionKey": { "File": "protection.key" } }"#);
    agent.run(&["check"]).must_exit(0);
}

/// A certificate cannot open its own password: that stays with its key, whatever else a rotation changes.
#[test]
fn the_certificates_password_stays_with_its_key_and_a_rotation_cut_off_can_be_repeated() {
    const PASSWORD: &str = "EncryptionCertificate:Password";
    let agent = TestAgent::new();
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.run_with_input(&["protect", "new-certificate"], "00password-of-the-file\n").must_exit(0);
    // Even where the certificate cannot be opened yet, its password can be protected.
    let vendors = format!("{0}=@{0}=@AAAAAAAAAAAAAAAAAAAAAA==", "A".repeat(171));
    agent.write("appsettings.json", &settings(json!({ "File": "agent.pfx", "Password": vendors })));
    let password = protect(&agent, PASSWORD, "00password-of-the-file");
    let with = |key: &str| {
        let certificate = json!({ "File": "agent.pfx", "Password": password, "UseEncryptedAppsettings": true });
        json!({ "EncryptionCertificate": certificate, "ProtectionKey": { "File": key } }).to_string()
    };
    agent.write("appsettings.json", &with("protection.key"));
    let encrypted = connection(&protect(&agent, API_KEY, agent.sandbox.token()));
    agent.run_with_input(&["protect", "new-certificate", "--out", "new.pfx"], "00second-password\n").must_exit(0);
    agent.run(&["protect", "new-key", "--out", "new.key"]).must_exit(0);
    for (new, keeps_password) in [("new.pfx", true), ("new.key", false)] {
        let rotate = || agent.run_with_input(&["protect", "rotate", "--to", new], "00second-password\n").must_exit(0);
        agent.write("appsettings.json", &with("protection.key"));
        agent.write(ENCRYPTED, &encrypted);
        rotate();
        let rotated = fs::read_to_string(agent.directory().join("appsettings.json")).unwrap();
        assert_eq!(rotated == with("protection.key"), keeps_password, "{new}");
        // As if it had been killed after the one file and before the other.
        agent.write(ENCRYPTED, &encrypted);
        rotate();
        assert_ne!(fs::read_to_string(agent.directory().join(ENCRYPTED)).unwrap(), encrypted);
    }
    agent.run(&["protect", "value", "--path", PASSWORD]).must_exit(2);
    agent.write("appsettings.json", r#"{ "EncryptionCertificate": { "File": "agent.pfx" } }"#);
    let run = agent.run_with_input(&["protect", "value", "--path", PASSWORD], "00password-of-the-file\n").must_exit(3);
    assert!(run.failure().contains("needs a key beside the certificate"), "{}", run.failure());
}

#[cfg(unix)]
#[test]
fn keys_that_lie_open_are_named_and_a_rotation_keeps_the_rights_of_the_group_alone() {
    use std::os::unix::fs::PermissionsExt;

    let agent = protected();
    let key = agent.directory().join("protection.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let run = agent.run(&["check"]).must_exit(0);
    assert!(run.stderr.contains("`ProtectionKey:File` names a key that everybody"), "{}", run.stderr);
    agent.run(&["protect", "new-key", "--out", "new.key"]).must_exit(0);
    let path = agent.directory().join(ENCRYPTED);
    for (former, after) in [(0o640, 0o640), (0o644, 0o600)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(former)).unwrap();
        agent.run(&["protect", "rotate", "--to", "new.key"]).must_exit(0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, after, "{former:o}");
    }
}

#[test]
fn what_protects_nothing_is_warned_of() {
    let agent = TestAgent::new();
    let run = agent.run(&["protect", "new-certificate"]).must_exit(0);
    assert!(run.stderr.contains("no password is given"), "{}", run.stderr);
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.write("appsettings.json", &settings(json!({})));
    let run = agent.run_with_input(&["protect", "value", "--any-path"], "00first\n\n").must_exit(0);
    assert!(run.stdout.lines().count() == 2 && run.stderr.contains("value 2 is empty"), "{}", run.stderr);
}

/// `script` of util-linux gives the program a terminal; where it is not there, there is nothing to look at.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_passwords_are_asked_for_and_not_shown() {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        process::Stdio,
    };

    let agent = TestAgent::new();
    acceptance::watch("00typed-password");
    let ask = |answers: [&str; 2], out: &str| {
        let line = format!(
            "'{}' --directory '{}' protect new-certificate --out {out}",
            acceptance::program().display(),
            agent.directory().display()
        );
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().ok()?;
        let (mut keys, mut screen) = (script.stdin.take().unwrap(), BufReader::new(script.stdout.take().unwrap()));
        let mut seen = Vec::new();
        for answer in answers {
            // The prompt ends with a colon; before it nothing may be typed.
            screen.read_until(b':', &mut seen).unwrap();
            keys.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
        screen.read_to_end(&mut seen).unwrap();
        let code = script.wait().unwrap().code();
        let seen = String::from_utf8(seen).unwrap();
        assert!(!seen.contains("00typed"), "{seen}");
        Some((code, seen))
    };
    let Some((code, seen)) = ask(["00typed-password"; 2], "typed.pfx") else { return println!("no `script` here") };
    assert_eq!(code, Some(0), "{seen}");
    let (code, seen) = ask(["00typed-password", "00typed-otherwise"], "other.pfx").unwrap();
    assert!(code == Some(2) && seen.contains("the two passwords differ"), "{seen}");
    assert!(!agent.directory().join("other.pfx").exists());
    agent.write("appsettings.json", r#"{ "EncryptionCertificate": { "File": "typed.pfx" } }"#);
    let mut command = agent.command(&["protect", "value", "--any-path"]);
    command.env("EncryptionCertificate__Password", "00typed-password");
    agent.with_input(command, "00any-value\n").must_exit(0);
}

#[test]
fn the_vendors_forms_are_answered_with_what_to_do() {
    let agent = protected();
    let vendor = format!("kxABA{}", "A".repeat(383));
    agent.write(ENCRYPTED, &connection(&vendor));
    let run = agent.run(&["check"]).must_exit(3);
    assert!(run.failure().contains("vendor") || run.failure().contains("needs a certificate"), "{}", run.failure());
    let part = format!("{}=", "A".repeat(171));
    agent.write("agent.pfx", "x");
    agent.write("appsettings.json", &settings(json!({ "File": "agent.pfx", "Password": format!("{part}@{part}@AAAAAAAAAAAAAAAAAAAAAA=="), "UseEncryptedAppsettings": true })));
    let run = agent.run(&["check"]).must_exit(3);
    assert!(
        run.failure().contains("`EncryptionCertificate:Password`") && run.failure().contains("vendor"),
        "{}",
        run.failure()
    );
}

/// As it stands, and after the commands of its README.
#[test]
fn the_sample_works_as_it_stands_and_can_be_made_ones_own() {
    const TOKEN: &str = "00SampleTokenThatNobodyHas";
    let agent = TestAgent::with(okta_sandbox::SandboxConfig { token: TOKEN.to_owned(), ..Default::default() });
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples/protected");
    for entry in fs::read_dir(sample).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        agent.write(&entry.file_name().to_string_lossy(), &text);
    }
    let check = |token: Option<&str>| {
        let mut command = agent.command(&["check"]);
        command.env("Connections__OktaExportFulfillment__Server", agent.sandbox.url());
        command.envs(token.map(|token| ("Connections__OktaExportFulfillment__ApiKey", token)));
        Run::of(command).must_exit(0)
    };
    // A file of a repository cannot be for its owner alone.
    let warnings = check(None).stderr;
    assert!(warnings.lines().all(|line| line.contains("everybody on this machine can read")), "{warnings}");
    agent.run(&["protect", "new-key", "--out", "agent.key"]).must_exit(0);
    agent.run(&["protect", "rotate", "--to", "agent.key"]).must_exit(0);
    let settings = fs::read_to_string(agent.directory().join("appsettings.json")).unwrap();
    agent.write("appsettings.json", &settings.replace("protection.key", "agent.key"));
    fs::remove_file(agent.directory().join("protection.key")).unwrap();
    check(None);
    let value = protect(&agent, API_KEY, TOKEN);
    check(Some(&value));
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_everybody_can_read_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let agent = TestAgent::new();
    let path = agent.directory().join("appsettings.agent.json");
    assert_private(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let run = agent.run(&["check"]).must_exit(0);
    let warnings: Vec<&str> = run.stderr.lines().filter(|line| line.contains("everybody on this machine")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains(API_KEY), "{}", run.stderr);
    let agent = protected();
    let path = agent.directory().join(ENCRYPTED);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!agent.run(&["check"]).must_exit(0).stderr.contains("everybody"));
}

#[cfg(target_os = "linux")]
#[test]
fn there_are_no_core_dumps() {
    let agent = TestAgent::new();
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.write("appsettings.json", &settings(json!({})));
    let mut command: Command = agent.command(&["protect", "value", "--any-path"]);
    let mut waiting = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let limits = loop {
        let limits = fs::read_to_string(format!("/proc/{}/limits", waiting.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        // The limit is set soon after the start.
        if line.split_whitespace().nth(5) == Some("0") {
            break line;
        }
        assert!(waiting.try_wait().unwrap().is_none(), "it ended: {line}");
        std::thread::yield_now();
    };
    assert_eq!(limits.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    drop(waiting.stdin.take());
    Run::from(waiting.wait_with_output().unwrap()).must_exit(2);
}

fn assert_private(path: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path).expect("it is there").permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert!(path.exists());
}
