//! Files that are read, and files that are refused with their line.

use std::io::Cursor;

use connector_api::{Column, ConnectionId};
use futures::TryStreamExt;

use super::*;

fn settings(values: &[(&str, &str)]) -> ConnectionSettings {
    let id: ConnectionId = "People".parse().unwrap();
    values.iter().fold(ConnectionSettings::new(id), |settings, (key, value)| settings.with(*key, *value))
}

fn table(columns: &[&str], key: &[usize]) -> Table {
    let columns = columns.iter().map(|path| Column::at(*path)).collect();
    Table { name: RECORDS.to_owned(), columns, key: key.to_vec() }
}

async fn read(bytes: &[u8], more: &[(&str, &str)], table: &Table) -> Result<Vec<Vec<String>>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("people.csv"), bytes).unwrap();
    let settings = settings(&[&[("Path", "people.csv")], more].concat());
    let connector = CsvDirectory::open(&settings, folder.path(), &[])?;
    let tables = std::slice::from_ref(table);
    let batches: Vec<RecordBatch> = connector.export(tables).try_collect().await?;
    let rows = batches.iter().flat_map(|batch| batch.records.iter());
    Ok(rows.map(|cells| cells.map(str::to_owned).collect()).collect())
}

#[tokio::test]
async fn a_file_is_read_in_the_dialect_and_the_encoding_that_the_settings_name() {
    let wanted = table(&["id", "name"], &[0]);
    let row = |id: &str, name: &str| vec![id.to_owned(), name.to_owned()];
    let cases: [(&[u8], &[(&str, &str)], Vec<Vec<String>>); 8] = [
        (b"id,name\n1,Ada\n2,\"Grace, H.\"\n", &[], vec![row("1", "Ada"), row("2", "Grace, H.")]),
        (b"\xef\xbb\xbfid,name\r\n1,\"a \"\"b\"\"\r\nc\"\r\n\r\n", &[], vec![row("1", "a \"b\"\r\nc")]),
        (b"NAME;x;;Id\nAd\xe8le;1;2;3", &[("Separator", ";"), ("Encoding", "windows-1252")], vec![row("3", "Adèle")]),
        (b"id\tname\n1\tAda\n", &[("Separator", "tab")], vec![row("1", "Ada")]),
        (b"made today\nby \"HR\nid,name\n1,Ada\n", &[("NumberOfLinesToSkip", "2")], vec![row("1", "Ada")]),
        (b"id,name\n'1',' Ada '\n", &[("ValuesToTrim", "'")], vec![row("1", " Ada ")]),
        (b"\xff\xfei\0d\0,\0n\0a\0m\0e\0\n\x001\0,\0\xe9\0\n\0", &[], vec![row("1", "é")]),
        (b"id,name\n", &[], vec![]),
    ];
    for (bytes, more, expected) in cases {
        assert_eq!(read(bytes, more, &wanted).await.unwrap(), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_error_with_its_line() {
    let wanted = table(&["id", "name"], &[0]);
    let cases: [(&[u8], &str); 12] = [
        (b"id,name\n1,Ada\n2\n", "line 3: it has 1 values and the header 2"),
        (b"id,name\n\"a\nb\",Ada\n2,x,y\n", "line 4: it has 3 values and the header 2"),
        (b"id,name\n1,Ada\n1,Bob\n", "line 3: its key `id` is that of line 2"),
        (b"id,name\n ,Ada\n", "line 2: its key `id` is empty"),
        (b"id,name\n1,\"Ada\n2,Bob\n", "line 2: a quote is opened and never closed"),
        (b"id,name\n1,\"Ada\"x\n", "line 2: a value goes on after its closing quote"),
        (b"id,name\n1,Ad\"a\n", "line 2: a quote stands in a value that is not quoted"),
        (b"id,name\n1,Ad\0a\n", "line 2: a NUL byte"),
        (b"id,name\r1,Ada\r", "line 1: a line ends in CR without LF"),
        (b"id,name\n1,Ad\xe8le\n", "there are bytes that are no UTF-8"),
        (b"id,ID\n1,2\n", "names the column `ID` twice"),
        (b"\n\n", "has no header"),
    ];
    for (bytes, why) in cases {
        let error = read(bytes, &[], &wanted).await.unwrap_err();
        assert!(error.to_string().contains(why) && error.hint().is_some(), "{why}: {error}");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
    let error = read(b"id,name\n1,Ada\n", &[], &table(&["id", "mail"], &[0])).await.unwrap_err();
    assert!(error.to_string().ends_with("has no column `mail`"), "{error}");
    assert_eq!((error.kind(), error.hint()), (ErrorKind::Settings, Some("its header names id, name")));
}

#[test]
fn a_record_without_an_end_is_given_up() {
    let text = [b"\"".as_slice(), &vec![b'x'; 3 << 20]].concat();
    let error = Lines::new(Cursor::new(text), b',').next(&mut Cells::default()).unwrap_err().in_file(Path::new("f"));
    assert!(error.to_string().contains("line 1: the record is too long"), "{error}");
}

#[tokio::test]
async fn of_several_files_the_newest_whose_name_fits_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (age, name) in [(3, "people_1.csv"), (1, "people_2.csv"), (0, "people_3.csv.part")] {
        let path = folder.path().join(name);
        fs::write(&path, format!("id\n{name}\n")).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }
    let open = |path: &str| {
        CsvDirectory::open(&settings(&[("Path", path), ("IsFileNameRegex", "true")]), folder.path(), &[]).unwrap()
    };
    assert!(open("people_[0-9]+\\.csv").file().unwrap().ends_with("people_2.csv"));
    let error = open("staff_.*").file().unwrap_err();
    assert!(error.to_string().contains("no file in") && error.kind() == ErrorKind::Unavailable, "{error}");
}

#[test]
fn settings_that_cannot_be_obeyed_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let open = |values: &[(&str, &str)], roots: &[PathBuf]| {
        CsvDirectory::open(&settings(values), folder.path(), roots).map(drop).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Settings);
            error.setting_key().unwrap_or_default().to_owned()
        })
    };
    for (values, key) in [
        (&[][..], "Path"),
        (&[("Path", "x"), ("PathIncremental", "y")], "PathIncremental"),
        (&[("Path", "x"), ("Encoding", "klingon")], "Encoding"),
        (&[("Path", "x"), ("Separator", "ab")], "Separator"),
        (&[("Path", "x"), ("NumberOfLinesToSkip", "many")], "NumberOfLinesToSkip"),
        (&[("Path", "x/(.csv"), ("IsFileNameRegex", "true")], "Path"),
    ] {
        assert_eq!(open(values, &[]), Err(key.to_owned()), "{values:?}");
    }
    let inside = [("Path", "in/people.csv")];
    assert_eq!(open(&inside, &[PathBuf::from("in")]), Ok(()));
    assert_eq!(open(&inside, &[PathBuf::from("elsewhere")]), Err("Path".to_owned()));
}
