//! One table's records as a CSV file: sorted by key, each key once, in bounded memory.
//!
//! UTF-8 without BOM, `,`, quotes only where RFC 4180 needs them, LF line ends, header always. A record whose key is
//! empty or taken is not written but counted and named: readers drop such records without a word.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use connector_api::{Records, Table};
use sha2::{Digest, Sha256};

use super::{
    difference::Former,
    file_error::FileError,
    manifest::{Rejected, TableEntry},
    sort::{Record, Sorter},
};

/// Bytes handed to the file at once.
const BLOCK: usize = 64 << 10;

/// A CSV file that takes records in any order.
pub(super) struct CsvFile {
    folder: PathBuf,
    name: String,
    table: Table,
    identity: bool,
    sorter: Sorter,
    former: Option<Former>,
    arrived: u64,
    rejected: Rejected,
}

impl CsvFile {
    /// The file `name` in `folder`, for a table that has a key. `identity` says that the key is the system's own identity of a record: a key that
    /// comes again is then the same record read again, and the last reading counts. `budget` is in bytes; what
    /// outgrows it is sorted through temporary files in `folder`.
    pub(super) fn new(folder: &Path, name: &str, table: &Table, identity: bool, budget: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            table: table.clone(),
            identity,
            sorter: Sorter::new(table.columns.len(), table.key.clone(), budget, folder.to_owned()),
            former: None,
            arrived: 0,
            rejected: Rejected::default(),
        }
    }

    /// Takes records as wide as the table.
    pub(super) fn push(&mut self, records: &Records) -> Result<(), FileError> {
        for cells in records.iter() {
            self.arrived += 1;
            let record = self.sorter.draft(cells);
            if self.table.key.iter().any(|&index| record.cell(index).is_empty()) {
                self.rejected.add("empty key", || name(record, &self.table.key, self.arrived));
            } else {
                self.sorter.keep().map_err(|error| FileError::new("sort records in", &self.folder, error))?;
            }
        }
        Ok(())
    }

    /// Compares with this file of the set before. Where that cannot be done, it is only warned of.
    pub(super) fn compare_with(&mut self, former: File) {
        let columns: Vec<_> = self.table.columns.iter().map(|column| column.name.clone()).collect();
        self.former = Former::new(former, &columns, &self.table.key).inspect_err(|error| warn(&self.name, error)).ok();
    }

    /// Writes the file, sees it to the disk and says what is in it.
    pub(super) fn finish(self) -> Result<TableEntry, FileError> {
        let path = self.folder.join(&self.name);
        let write = || {
            let file = File::create_new(&path)?;
            let entry = self.write_to(&file)?;
            file.sync_all()?;
            Ok(entry)
        };
        write().map_err(|error| FileError::new("write", &path, error))
    }

    fn write_to(self, file: impl Write) -> io::Result<TableEntry> {
        let sealed = Sealed { file, sha256: Sha256::new(), bytes: 0 };
        let mut csv = csv::WriterBuilder::new().buffer_capacity(BLOCK).from_writer(sealed);
        let columns: Vec<_> = self.table.columns.iter().map(|column| column.name.clone()).collect();
        csv.write_record(&columns).map_err(cause)?;
        let mut once = Once {
            csv,
            key: &self.table.key,
            width: columns.len(),
            identity: self.identity,
            held: Vec::new(),
            name: &self.name,
            former: self.former,
            records: 0,
            rejected: self.rejected,
        };
        self.sorter.finish(|record| once.take(record))?;
        once.write_held()?;
        let Once { csv, records, rejected, former, .. } = once;
        let difference = former.and_then(|former| former.finish().inspect_err(|error| warn(&self.name, error)).ok());
        let sealed = csv.into_inner().map_err(|error| error.into_error())?;
        let sha256 = sealed.sha256.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text takes everything");
            text
        });
        let bytes = sealed.bytes;
        let finished = String::new();
        Ok(TableEntry { file: self.name, finished, columns, records, rejected, bytes, sha256, difference })
    }
}

/// Writes sorted records, one for each key.
struct Once<'a, W: Write> {
    csv: csv::Writer<Sealed<W>>,
    key: &'a [usize],
    width: usize,
    identity: bool,
    /// The record that is written as soon as another key follows.
    held: Vec<u8>,
    name: &'a str,
    former: Option<Former>,
    records: u64,
    rejected: Rejected,
}

impl<W: Write> Once<'_, W> {
    fn take(&mut self, record: Record<'_>) -> io::Result<()> {
        let held = Record::new(&self.held, self.width);
        if self.held.is_empty() || held.compare(record, self.key).is_ne() {
            self.write_held()?;
        } else if !self.identity {
            if held.bytes() != record.bytes() {
                self.rejected.add("repeated key", || key_text(record, self.key));
            }
            return Ok(());
        }
        self.held.clear();
        self.held.extend_from_slice(record.bytes());
        Ok(())
    }

    fn write_held(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.records += 1;
        let record = Record::new(&self.held, self.width);
        if let Some(former) = &mut self.former
            && let Err(error) = former.meet(record)
        {
            warn(self.name, &error);
            self.former = None;
        }
        self.csv.write_record(record.cells()).map_err(cause)
    }
}

/// A file whose size and SHA-256 are known when it is written.
struct Sealed<W> {
    file: W,
    sha256: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn warn(file: &str, error: &io::Error) {
    tracing::warn!("how `{file}` differs from the set before is not known: {error}");
}

/// What the file said, out of the writer's wrapping: its kind decides what the reader of the message can do.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// What names a record whose key is not complete: what there is of it, else its first cell, else its number.
fn name(record: Record<'_>, key: &[usize], number: u64) -> String {
    let filled = |cell: &&[u8]| !cell.is_empty();
    if key.iter().any(|&index| filled(&record.cell(index))) {
        return key_text(record, key);
    }
    record.cells().find(filled).map_or_else(|| format!("record {number}"), |cell| String::from_utf8_lossy(cell).into())
}

fn key_text(record: Record<'_>, key: &[usize]) -> String {
    key.iter().map(|&index| String::from_utf8_lossy(record.cell(index))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
