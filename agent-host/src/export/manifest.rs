//! What is known of a published set: written beside its files as `<connection>_export.json`.
//!
//! Reading it back tolerates fields it does not know and fields that are missing; a damaged manifest counts as none.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{difference::Difference, file_error::FileError};

/// How many rejected records are named; the rest is only counted.
const EXAMPLES: usize = 100;
/// Characters of a name: a key is an identifier, whatever is longer is cut.
const NAME_LENGTH: usize = 200;

/// One set of files: when and how it came about, and what is in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// Identifier of the connection.
    pub connection: String,
    /// Name and version of the program that wrote the set.
    pub written_by: String,
    /// In storage that speaks S3's language, the folder of this set's files, relative to the manifest's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub set: String,
    /// When the export started, as UTC in ISO 8601.
    pub started: String,
    /// When its last table was complete.
    pub finished: String,
    /// Time between the two.
    pub duration_ms: u64,
    /// By name. A table that this export did not read keeps the entry of the export that did.
    pub tables: BTreeMap<String, TableEntry>,
    /// The requests of this export.
    pub requests: Requests,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// Time during which a bucket's limit was used up, by bucket.
    pub waited_ms: BTreeMap<String, u64>,
    /// The most requests under way at once.
    pub max_in_flight: u32,
}

/// The file of one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableEntry {
    /// Name of the file.
    pub file: String,
    /// When the export that read the table was finished; filled in when the set is published.
    pub finished: String,
    /// The header.
    pub columns: Vec<String>,
    /// Records in the file.
    pub records: u64,
    /// Records that are not in the file.
    pub rejected: Rejected,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// How it differs from the file before; known to the export that made it alone, and only where it could compare.
    #[serde(skip)]
    pub difference: Option<Difference>,
}

/// Records that could not be published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rejected {
    /// How many.
    pub count: u64,
    /// How many for each reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first of them.
    pub examples: Vec<RejectedRecord>,
}

/// A record that could not be published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RejectedRecord {
    /// Why.
    pub reason: String,
    /// Which: the cells of its key, or what else names it; never the whole record.
    pub record: String,
}

/// Requests made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// All of them.
    pub total: u64,
    /// By the name of the budget ("bucket") that the managed system charges.
    pub by_bucket: BTreeMap<String, u64>,
}

impl Manifest {
    /// The manifest at `path`; none where there is no file, or where the file is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>, FileError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::new("read", path, error)),
        };
        Ok(Self::parse(&text, path.display()))
    }

    /// The manifest in this text, which is from this place; none where it is damaged.
    pub(super) fn parse(text: &[u8], place: impl fmt::Display) -> Option<Self> {
        let damaged = |error: &serde_json::Error| {
            tracing::warn!("`{place}` is damaged: the new set cannot be compared with the former one ({error})");
        };
        serde_json::from_slice(text).inspect_err(damaged).ok()
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("text keys and plain values make JSON");
        text.push('\n');
        text
    }
}

impl Rejected {
    /// Counts one more record; `name` is asked only while examples are wanted.
    pub(super) fn add(&mut self, reason: &str, name: impl FnOnce() -> String) {
        self.count += 1;
        match self.reasons.get_mut(reason) {
            Some(count) => *count += 1,
            None => drop(self.reasons.insert(reason.to_owned(), 1)),
        }
        if self.examples.len() < EXAMPLES {
            let record = name().chars().take(NAME_LENGTH).collect();
            self.examples.push(RejectedRecord { reason: reason.to_owned(), record });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a_export.json");
        let mut rejected = Rejected::default();
        rejected.add("empty key", || "record 7".to_owned());
        let tables = BTreeMap::from([("users".to_owned(), TableEntry { records: 3, rejected, ..Default::default() })]);
        let manifest = Manifest { connection: "a".to_owned(), tables, ..Default::default() };
        fs::write(&path, manifest.to_text()).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), Some(manifest));
    }

    #[test]
    fn other_versions_are_understood_and_damage_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a_export.json");
        assert_eq!(Manifest::read(&path).unwrap(), None);
        fs::write(&path, r#"{"connection":"a","tables":{"users":{"records":9,"new":1}},"more":[]}"#).unwrap();
        assert_eq!(Manifest::read(&path).unwrap().unwrap().tables["users"].records, 9);
        for damaged in ["", "{", "7", r#"{"tables":{"users":{"records":"#] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(Manifest::read(&path).unwrap(), None, "{damaged}");
        }
    }

    #[test]
    fn examples_are_few_and_short() {
        let mut rejected = Rejected::default();
        for _ in 0..1000 {
            rejected.add("repeated key", || "ü".repeat(1000));
        }
        assert_eq!((rejected.count, rejected.reasons["repeated key"], rejected.examples.len()), (1000, 1000, 100));
        assert_eq!(rejected.examples[0].record.chars().count(), 200);
    }
}
