//! The five minutes of the README, as they are printed there: from nothing to a scheduled export with the dashboard open.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use acceptance::{CONNECTION, TestAgent, program};
use okta_sandbox::Seed;

use crate::{
    dashboard::{PASSWORD, doors::Visitor},
    password::daemon::{Daemon, until},
};

const README: &str = include_str!("../../README.md");

/// What stands between these marks, wherever it stands in the section, without the blanks that a list sets it off by.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let pieces = section.split(begin.as_str()).skip(1);
    let text = |piece: &str| piece.split("```").next().expect("a split yields a part").replace("\n   ", "\n");
    pieces.map(|piece| text(piece).trim().to_owned()).collect()
}

#[test]
fn five_minutes_lead_from_nothing_to_a_scheduled_export_with_the_dashboard_open() {
    let section = README.split_once("## Export your organisation in five minutes\n").expect("there is the section").1;
    let section = section.split_once("\n## ").expect("another follows").0;
    let (commands, settings) = (blocks(section, "sh"), blocks(section, "json"));
    assert_eq!((commands.len(), settings.len()), (4, 1), "{commands:#?}");
    assert!(section.contains("exports every night at two"));
    // An organisation of a test, and its own place for the directory.
    let rig = TestAgent::seeded(Seed::exact(7, 2, 1, 2));
    let home = rig.beside("srv/agent");
    fs::create_dir_all(rig.beside("srv")).expect("the folder can be made");
    let settings =
        settings[0].replace("https://example.okta.com", &rig.sandbox.url()).replace("00…", rig.sandbox.token());
    rig.write_beside("typed.json", &settings);
    let password = rig.beside("typed.txt");
    fs::write(&password, format!("{PASSWORD}\n")).expect("the password can be written");
    let script = commands.join("\n").replace("/srv/agent", &home.display().to_string());
    let (before, last) = script.rsplit_once('\n').expect("there are several commands");
    assert!(last.ends_with(" run"), "{last}");

    let mut shell = Command::new("sh");
    // In the place of the shell, so that what ends the shell ends the agent.
    shell.args(["-ec", &format!("{before}\nexec {last}")]);
    let path = [program().parent().expect("it is in a folder"), "/usr/bin".as_ref(), "/bin".as_ref()];
    shell.env_clear().env("PATH", std::env::join_paths(path).expect("a path"));
    shell.env("EDITOR", format!("cp {}", rig.beside("typed.json").display()));
    // Nobody waits for the night: the job that is there comes every other second.
    shell.env("Jobs__Nightly__Schedule", "*/2 * * * * *").current_dir(rig.beside("srv"));
    shell.stdin(File::open(&password).expect("it is there")).stderr(Stdio::piped());
    let daemon = Daemon::start(shell);
    fs::remove_file(&password).expect("it is there");

    let ada = Visitor::sign_in(&daemon, "ada");
    assert!(ada.get("/").body.contains("Overview"));
    until(|| {
        let runs = ada.get("/runs?state=success").body;
        runs.contains("Nightly") && runs.contains(">schedule</td>")
    });
    let page = ada.get(&format!("/exports/{CONNECTION}")).body;
    assert!(page.contains("In place since") && page.contains(&format!("{CONNECTION}_users.csv")), "{page}");
    daemon.end();
    let users = fs::read_to_string(home.join(format!("Temp/ExportOutput/{CONNECTION}_users.csv"))).expect("a file");
    assert!(users.lines().count() > 7, "{users}");
    // Known to hold the token: nothing else that is left does.
    rig.write_beside("srv/agent/appsettings.agent.json", &settings);
}
