//! The tour: quick, readable, and what it keeps is a true agent directory.

use std::time::{Duration, Instant};

use acceptance::{CONNECTION, Run, TABLES, csv_name, files, program};

fn demo(folder: &std::path::Path, arguments: &[&str]) -> Run {
    let mut command = std::process::Command::new(program());
    command.args(arguments).current_dir(folder).env_clear();
    Run::of(command)
}

/// The token of the organisation, made up for the tour, stands in the settings and nowhere else.
fn assert_token_unseen(folder: &std::path::Path, run: &Run) {
    let path = folder.join("kept/appsettings.agent.json");
    let text = std::fs::read_to_string(&path).expect("it is kept");
    let settings: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let token = settings["Connections"][CONNECTION]["ApiKey"].as_str().expect("there is a token");
    assert!(!token.is_empty() && !run.stdout.contains(token) && !run.stderr.contains(token));
    acceptance::watch(token);
    acceptance::assert_folder_unseen(folder, &[(path, text)].into());
}

#[test]
fn the_tour_shows_every_file_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let run = demo(folder.path(), &["demo", "--keep", "kept"]).must_exit(0);
    assert_token_unseen(folder.path(), &run);
    // A tour is watched by somebody; a program that is not optimised, beside other tests, is not what they watch.
    let patience = Duration::from_secs(if cfg!(debug_assertions) { 90 } else { 15 });
    assert!(began.elapsed() < patience, "it took {:?}", began.elapsed());
    assert_eq!(run.stderr, "");
    let output = folder.path().join("kept/Temp/ExportOutput");
    let kept = files(&output);
    assert_eq!(kept.len(), 6);
    for table in TABLES {
        let text = String::from_utf8(kept[&csv_name(table)].clone()).unwrap();
        let shown: String = text.lines().next().unwrap().chars().take(100).collect();
        assert!(run.stdout.contains(&shown), "the header of `{table}` in\n{}", run.stdout);
        let first: String = text.lines().nth(1).unwrap().chars().take(20).collect();
        assert!(run.stdout.contains(&first), "the first record of `{table}` in\n{}", run.stdout);
    }
    for part in ["2,000 users, 150 groups, 40 apps", "can be read", "no difference", "kept"] {
        assert!(run.stdout.contains(part), "{part} in\n{}", run.stdout);
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 130), "{}", run.stdout);
}

#[test]
fn what_is_kept_works_until_it_asks_the_organisation_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path(), &["demo", "--keep", "kept"]).must_exit(0);
    let before = files(&folder.path().join("kept/Temp/ExportOutput"));
    let settings = folder.path().join("kept/Work/appsettings.connection.json");
    std::fs::write(settings, format!(r#"{{"Connections":{{"{CONNECTION}":{{"RetryBudgetSeconds":1}}}}}}"#)).unwrap();
    let check = demo(folder.path(), &["--directory", "kept", "check"]).must_exit(5);
    assert!(check.stdout.contains("no connection") && check.stdout.contains("run again later"), "{}", check.stdout);
    demo(folder.path(), &["--directory", "kept", "export", CONNECTION]).must_exit(5);
    assert_eq!(files(&folder.path().join("kept/Temp/ExportOutput")), before);
    let again = demo(folder.path(), &["demo", "--keep", "kept"]).must_exit(3);
    assert!(again.failure().contains("`kept`") && again.failure().contains("new directory"), "{}", again.stderr);
}

#[test]
fn without_a_folder_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path(), &["demo"]).must_exit(0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
