//! The file against the plainest way of making it, whatever the budget; then its details, failures and cost.

use std::{cmp::Ordering, fs};

use connector_api::Column;
use proptest::{collection::vec, prelude::*};

use super::*;

type Cells = Vec<Vec<String>>;

fn table(width: usize, key: &[usize]) -> Table {
    let columns = (0..width).map(|index| Column::at(format!("c{index}"))).collect();
    Table { name: "users".to_owned(), columns, key: key.to_vec() }
}

fn file(table: &Table, identity: bool, budget: usize, records: &Cells) -> CsvFile {
    let mut file = CsvFile::new(&std::env::temp_dir(), "none.csv", table, identity, budget);
    for page in records.chunks(3) {
        let mut batch = Records::new(table.columns.len());
        page.iter().for_each(|record| batch.push(record.iter().map(String::as_str)));
        file.push(&batch).unwrap();
    }
    file
}

/// The text of the file and what is said about it.
fn write(table: &Table, identity: bool, budget: usize, records: &Cells) -> (String, TableEntry) {
    let mut text = Vec::new();
    let written = file(table, identity, budget, records).write_to(&mut text).unwrap();
    assert_eq!(written.bytes, text.len() as u64);
    assert_eq!(written.sha256, format!("{:x}", Hex(&Sha256::digest(&text))));
    (String::from_utf8(text).unwrap(), written)
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The same in the plainest way: the cells to be found in the file, and how many records are rejected.
fn model(key: &[usize], identity: bool, records: &Cells) -> (Cells, u64) {
    let by_key = |a: &Vec<String>, b: &Vec<String>| {
        key.iter().fold(Ordering::Equal, |order, &index| order.then(a[index].as_bytes().cmp(b[index].as_bytes())))
    };
    let mut rejected = 0;
    let mut sorted = records.clone();
    sorted.retain(|record| key.iter().all(|&index| !record[index].is_empty()));
    rejected += (records.len() - sorted.len()) as u64;
    sorted.sort_by(by_key);
    let mut kept: Cells = Vec::new();
    for record in sorted {
        match kept.last_mut() {
            Some(last) if by_key(last, &record).is_eq() && identity => *last = record,
            Some(last) if by_key(last, &record).is_eq() => rejected += u64::from(*last != record),
            _ => kept.push(record),
        }
    }
    (kept, rejected)
}

fn parsed(text: &str) -> Cells {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn any_records() -> impl Strategy<Value = (usize, Vec<usize>, Cells)> {
    (1..5_usize).prop_flat_map(|width| {
        let cell = prop_oneof![3 => "[ab]{0,2}", 1 => "(prefix){0,2}[a-c\0\u{1}é,\"\r\n ]{0,12}"];
        let key = Just((0..width).collect::<Vec<_>>()).prop_shuffle();
        let key = (key, 1..=width).prop_map(|(order, length)| order[..length].to_vec());
        (Just(width), key, vec(vec(cell, width), 0..80))
    })
}

proptest! {
    #[test]
    fn the_file_is_what_sorting_in_memory_would_give(
        (width, key, records) in any_records(),
        identity: bool,
        budget in prop_oneof![Just(0_usize), 1..3000_usize, Just(1 << 20)],
    ) {
        let (text, written) = write(&table(width, &key), identity, budget, &records);
        let (expected, rejected) = model(&key, identity, &records);
        prop_assert_eq!(written.records, expected.len() as u64);
        prop_assert_eq!(written.rejected.count, rejected);
        prop_assert_eq!(parsed(&text), expected);
    }
}

#[test]
fn records_longer_than_a_block_survive_runs_and_merges() {
    let long = |number: usize| vec![format!("k{:03}", number * 7 % 40), "x".repeat(number * 9_001 % 200_000)];
    let records: Cells = (0..40).map(long).collect();
    for budget in [0, 500_000] {
        let (text, _) = write(&table(2, &[0]), true, budget, &records);
        assert_eq!(parsed(&text), model(&[0], true, &records).0);
    }
}

#[test]
fn quotes_stand_only_where_they_are_needed() {
    let cells = |line: &[&str]| line.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let records = vec![
        cells(&["b", "a,b", "say \"hi\""]),
        cells(&["a", " plain; text ", ""]),
        cells(&["B", "two\nlines", "carriage\rreturn"]),
    ];
    let (text, _) = write(&table(3, &[0]), true, 1 << 20, &records);
    assert_eq!(
        text,
        "c0,c1,c2\nB,\"two\nlines\",\"carriage\rreturn\"\na, plain; text ,\nb,\"a,b\",\"say \"\"hi\"\"\"\n"
    );
    assert_eq!(write(&table(2, &[0]), true, 1 << 20, &Vec::new()).0, "c0,c1\n");
}

#[test]
fn rejected_records_are_named_by_key_and_never_shown_whole() {
    let records: Cells =
        [["g", "u", "1"], ["g", "u", "2"], ["g", "", "3"], ["", "", "4"], ["", "", ""], ["g", "u", "1"]]
            .iter()
            .map(|record| record.iter().map(|&cell| cell.to_owned()).collect())
            .collect();
    for budget in [0, 1 << 20] {
        let (text, written) = write(&table(3, &[0, 1]), false, budget, &records);
        assert_eq!(text, "c0,c1,c2\ng,u,1\n");
        let named: Vec<_> = written.rejected.examples.iter().map(|one| (&*one.reason, &*one.record)).collect();
        let expected = [("empty key", "g,"), ("empty key", "4"), ("empty key", "record 5"), ("repeated key", "g,u")];
        assert_eq!(named, expected);
        assert_eq!(written.rejected.reasons["empty key"], 3);
    }
}

#[test]
fn nothing_but_the_file_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = CsvFile::new(folder.path(), "a_users.csv", &table(1, &[0]), true, 0);
    let mut records = Records::new(1);
    (0..100).for_each(|number| records.push([format!("{number}").as_str()]));
    file.push(&records).unwrap();
    file.finish().unwrap();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a_users.csv"]);
}

#[test]
fn failures_name_the_file_or_folder() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let mut file = CsvFile::new(&gone, "a_users.csv", &table(1, &[0]), true, 0);
    let mut records = Records::new(1);
    records.push(["x"]);
    assert_eq!(file.push(&records).unwrap_err().to_string(), format!("cannot sort records in `{}`", gone.display()));
    let file = CsvFile::new(&gone, "a_users.csv", &table(1, &[0]), true, 1 << 20);
    let path = gone.join("a_users.csv");
    assert_eq!(file.finish().unwrap_err().to_string(), format!("cannot write `{}`", path.display()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_whenever_it_shows() {
    for lines in [0, 1, 100_000] {
        let records: Cells = (0..lines).map(|number| vec![format!("{number}")]).collect();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = file(&table(1, &[0]), true, 1 << 20, &records).write_to(full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{lines} records");
    }
}

/// Run in a release build: `cargo test --release -p agent-host --lib measure -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "a measurement"]
fn measure_links() {
    let processor_ms = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000_000
    };
    for (groups, members, ordered) in [(5_000, 200, true), (5_000, 200, false), (50, 20_000, true), (20_000, 500, true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut file = CsvFile::new(folder.path(), "links.csv", &table(2, &[0, 1]), true, 8 << 20);
        let (mut spent, mut dice) = (0, 1_u64);
        for number in 0..groups {
            let group = format!("00gm{:012}x5d7", number * 7919 % groups);
            let mut users = vec![0; members];
            for user in &mut users {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *user = (dice >> 33) % 1_000_000;
            }
            if ordered {
                users.sort_unstable();
            }
            for page in users.chunks(1000) {
                let mut records = Records::new(2);
                page.iter().for_each(|user| records.push([group.as_str(), &format!("00um{user:012}x5d7")]));
                let start = processor_ms();
                file.push(&records).unwrap();
                spent += processor_ms() - start;
            }
        }
        let start = processor_ms();
        let written = file.finish().unwrap();
        spent += processor_ms() - start;
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        println!("{} records, users in order: {ordered}: {spent} ms of processor, {peak}", written.records);
    }
}
