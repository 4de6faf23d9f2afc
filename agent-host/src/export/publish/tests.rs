//! Publications that are cut short: after each step in turn, by errors, and by killing a program at any moment.
//!
//! Whatever happens, readers find the former set or the new one, and the next export leaves a clean folder.

use std::{
    cell::Cell,
    collections::BTreeMap,
    env, io,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use connector_api::{Column, Records, Table};

use super::*;
use crate::export::{csv_file::CsvFile, manifest::TableEntry};

const NAMES: [&str; 3] = ["users", "groups", "groupsusers"];

/// What stands in the output folder before the publication under test.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    PlainFiles,
    Set(Mode),
    SomeTablesByLinksOthersByRenames,
}

const BEFORE: [Before; 5] = [
    Before::Nothing,
    Before::PlainFiles,
    Before::Set(Mode::Links),
    Before::Set(Mode::Renames),
    Before::SomeTablesByLinksOthersByRenames,
];

impl Before {
    fn make(self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        // Neighbours that are nobody's business here.
        fs::write(output.join("b_users.csv"), "b").unwrap();
        fs::create_dir_all(output.join(".b/set-1")).unwrap();
        match self {
            Self::Nothing => {}
            Self::PlainFiles => {
                for table in NAMES {
                    fs::write(output.join(csv_name("a", table)), format!("plain {table}")).unwrap();
                }
            }
            Self::Set(mode) => export(output, mode, &NAMES, "former", &mut quick).unwrap(),
            Self::SomeTablesByLinksOthersByRenames => {
                export(output, Mode::Links, &NAMES, "oldest", &mut quick).unwrap();
                fs::remove_file(output.join("a_users.csv")).unwrap();
                fs::write(output.join("a_users.csv"), "by hand").unwrap();
            }
        }
        folder
    }
}

fn stage(
    output: &Path,
    mode: Mode,
    tables: &[&str],
    text: &str,
    run: Run<'_>,
) -> Result<(Staging, Manifest), FileError> {
    let staging = Staging::open_by(output, "a", Some(mode), run)?;
    let mut manifest = Manifest { connection: "a".to_owned(), started: text.to_owned(), ..Default::default() };
    for &table in tables {
        let file = csv_name("a", table);
        fs::write(staging.folder().join(&file), format!("{text} {table}")).unwrap();
        let entry = TableEntry { file, records: text.len() as u64, ..Default::default() };
        manifest.tables.insert(table.to_owned(), entry);
    }
    Ok((staging, manifest))
}

fn export(output: &Path, mode: Mode, tables: &[&str], text: &str, run: Run<'_>) -> Result<(), FileError> {
    let (staging, manifest) = stage(output, mode, tables, text, run)?;
    staging.publish_by(manifest, run)
}

/// An export that is killed at the first step that `run` refuses: nothing is dropped, only the lock is let go.
fn killed(output: &Path, mode: Mode, tables: &[&str], text: &str, run: Run<'_>) {
    if let Ok((staging, manifest)) = stage(output, mode, tables, text, run) {
        let _ = staging.publish_by(manifest, run);
        staging._lock.0.unlock().unwrap();
        std::mem::forget(staging);
    }
}

/// Does not wait for the disk, which no reader can tell.
fn quick(step: &Step) -> Result<(), FileError> {
    if matches!(step, Step::Sync(_)) { Ok(()) } else { step.run() }
}

/// Carries out so many steps and refuses the others.
fn only(left: &Cell<usize>) -> impl FnMut(&Step) -> Result<(), FileError> + '_ {
    |step| match left.get().checked_sub(1) {
        Some(rest) => {
            left.set(rest);
            quick(step)
        }
        None => Err(FileError::new("reach", Path::new("the next step"), io::ErrorKind::Other.into())),
    }
}

/// What a reader finds in the output folder.
fn seen(output: &Path) -> BTreeMap<String, String> {
    let read = |name: String| fs::read_to_string(output.join(&name)).ok().map(|text| (name, text));
    names(output).unwrap().into_iter().filter_map(read).collect()
}

/// Every name in the output folder and in the connection's own, the sets' numbers left out.
fn listing(output: &Path) -> Vec<String> {
    let mut all = names(output).unwrap();
    for name in names(&output.join(".a")).unwrap_or_default() {
        let numbered = name.starts_with(SET);
        if numbered {
            all.extend(names(&output.join(".a").join(&name)).unwrap().iter().map(|file| format!("set/{file}")));
        }
        all.push(if numbered { "set".to_owned() } else { format!(".a/{name}") });
    }
    all.sort();
    all
}

/// Kills a publication after each of its steps, and each repair of it after each of its own.
fn check_kills(before: Before, mode: Mode, tables: &[&str]) {
    let calm = before.make();
    let old = seen(calm.path());
    export(calm.path(), mode, tables, "new", &mut quick).unwrap();
    let new = seen(calm.path());
    export(calm.path(), mode, &NAMES, "next", &mut quick).unwrap();
    let (next, clean) = (seen(calm.path()), listing(calm.path()));
    for steps in 0.. {
        let left = Cell::new(steps);
        let folder = before.make();
        killed(folder.path(), mode, tables, "new", &mut only(&left));
        let context = format!("{before:?}, {mode:?}, {tables:?}, {steps} steps");
        if mode == Mode::Links {
            let now = seen(folder.path());
            assert!(now == old || now == new, "{context}: {now:?}");
        }
        for repaired in 0.. {
            let left = Cell::new(repaired);
            if Staging::open_by(folder.path(), "a", Some(mode), &mut only(&left)).is_ok() {
                break;
            }
        }
        let now = seen(folder.path());
        assert!(now == old || now == new, "{context}, repaired: {now:?}");
        export(folder.path(), mode, &NAMES, "next", &mut quick).unwrap();
        assert_eq!(seen(folder.path()), next, "{context}");
        assert_eq!(listing(folder.path()), clean, "{context}");
        if left.get() > 0 {
            break;
        }
    }
}

#[test]
fn a_killed_export_leaves_the_old_set_or_the_new_one_and_no_debris() {
    for before in BEFORE {
        for mode in [Mode::Links, Mode::Renames] {
            check_kills(before, mode, &NAMES);
            check_kills(before, mode, &["users"]);
        }
    }
}

#[test]
fn a_failed_export_clears_up_behind_itself() {
    let cases = [
        (Before::Nothing, Mode::Links, 10),
        (Before::Set(Mode::Links), Mode::Links, 10),
        (Before::Set(Mode::Renames), Mode::Renames, 5),
    ];
    for (before, mode, until_the_set_counts) in cases {
        let folder = before.make();
        drop(Staging::open_by(folder.path(), "a", Some(mode), &mut quick).unwrap());
        let (old, clean) = (seen(folder.path()), listing(folder.path()));
        for steps in 0..until_the_set_counts {
            let left = Cell::new(steps);
            export(folder.path(), mode, &NAMES, "new", &mut only(&left)).unwrap_err();
            assert_eq!(seen(folder.path()), old, "{before:?}, {steps} steps");
            assert_eq!(listing(folder.path()), clean, "{before:?}, {steps} steps");
        }
    }
}

#[test]
fn some_tables_are_published_alone_and_the_manifest_keeps_the_others() {
    for mode in [Mode::Links, Mode::Renames] {
        let folder = tempfile::tempdir().unwrap();
        export(folder.path(), mode, &NAMES, "former", &mut quick).unwrap();
        export(folder.path(), mode, &["groups"], "new", &mut quick).unwrap();
        let now = seen(folder.path());
        assert_eq!(now["a_users.csv"], "former users");
        assert_eq!(now["a_groups.csv"], "new groups");
        let staging = Staging::open_by(folder.path(), "a", Some(mode), &mut quick).unwrap();
        let manifest = staging.previous().unwrap();
        assert_eq!(manifest.started, "new");
        assert_eq!((manifest.tables["users"].records, manifest.tables["groups"].records), (6, 3));
    }
}

#[test]
fn readers_see_the_new_set_only_at_the_last_rename() {
    let folder = Before::Set(Mode::Links).make();
    let mut last = None;
    let mut switches = 0;
    let (staging, manifest) = stage(folder.path(), Mode::Links, &NAMES, "new", &mut quick).unwrap();
    let mut watch = |step: &Step| {
        quick(step)?;
        let now = seen(folder.path());
        switches += usize::from(last.replace(now.clone()).is_some_and(|before| before != now));
        Ok(())
    };
    staging.publish_by(manifest, &mut watch).unwrap();
    assert_eq!(switches, 1);
}

#[test]
fn one_export_at_a_time_writes_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Staging::open(folder.path(), "a").unwrap();
    let refused = Staging::open(folder.path(), "a").unwrap_err();
    let expected = format!("another export of `a` is writing into `{}`", folder.path().display());
    assert_eq!(refused.to_string(), expected);
    assert!(first.folder().is_dir(), "the refused one must not clear what the first one makes");
    Staging::open(folder.path(), "b").unwrap();
    drop(first);
    Staging::open(folder.path(), "a").unwrap();
}

#[test]
fn an_output_folder_may_move_with_its_links() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here/deep"), folder.path().join("there"));
    export(&here, Mode::Links, &NAMES, "former", &mut quick).unwrap();
    step::rename(&here, &there).unwrap();
    assert_eq!(seen(&there)["a_users.csv"], "former users");
}

#[test]
fn an_output_that_is_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("file");
    fs::write(&output, "").unwrap();
    let error = Staging::open(&output, "a").unwrap_err();
    assert_eq!(error.to_string(), format!("cannot make `{}`", output.join(".a").display()));
    assert!(error.hint().contains("`TempFolderPath`"));
}

/// One whole export through real files; every cell behind the key tells its number.
fn export_number(output: &Path, number: u64) {
    let staging = Staging::open(output, "a").unwrap();
    let mut manifest = Manifest { duration_ms: number, ..Default::default() };
    for name in NAMES {
        let table =
            Table { name: name.to_owned(), columns: vec![Column::at("id"), Column::at("number")], key: vec![0] };
        let mut csv = CsvFile::new(staging.folder(), &csv_name("a", name), &table, true, 4096);
        let mut records = Records::new(2);
        (0..500).for_each(|id| records.push([format!("{id}").as_str(), &format!("{number}")]));
        csv.push(&records).unwrap();
        manifest.tables.insert(name.to_owned(), csv.finish().unwrap());
    }
    staging.publish(manifest).unwrap();
}

#[test]
#[ignore = "the program that the test below kills"]
fn export_for_ever() {
    let before = Manifest::read(Path::new("a_export.json")).unwrap().unwrap().duration_ms;
    for number in before + 1.. {
        export_number(Path::new("."), number);
    }
}

#[test]
fn killed_at_any_moment_an_export_leaves_a_whole_set() {
    let folder = tempfile::tempdir().unwrap();
    export_number(folder.path(), 1);
    let clean = listing(folder.path());
    let mut former = 1;
    for round in 0..50_u64 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "export::publish::tests::export_for_ever"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(3_000 + round * 7_919 % 50_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let files = seen(folder.path());
        let manifest: Manifest = serde_json::from_str(&files["a_export.json"]).unwrap();
        assert!(manifest.duration_ms >= former);
        former = manifest.duration_ms;
        for name in NAMES {
            let lines: Vec<_> = files[&csv_name("a", name)].lines().collect();
            assert_eq!(lines.len(), 501);
            assert!(lines[1..].iter().all(|line| line.ends_with(&format!(",{former}"))), "{name} is of one set");
        }
    }
    export_number(folder.path(), former + 1);
    assert_eq!(listing(folder.path()), clean);
}
