//! How a table differs from the set before: records that came, went and changed.
//!
//! Both files are sorted by the key, so that one pass beside the writing tells, with a record of the former file in memory.
//! That file was written by an export and may have been altered since: one that is not as an export writes it, or has other
//! columns, is not compared.

use std::{
    cmp::Ordering,
    fs::File,
    io::{self, Read},
};

use csv::ByteRecord;
use serde::Serialize;

use super::sort::Record;

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;
/// The longest record; a quote that is not closed ends here.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// Records in which a table differs from the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Those whose key is new.
    pub added: u64,
    /// Those whose key is gone.
    pub removed: u64,
    /// Those with another content under the same key.
    pub changed: u64,
}

/// The file of a table in the set before, as far as it was gone through.
pub(super) struct Former {
    csv: csv::Reader<Bounded>,
    key: Vec<usize>,
    /// The next record to be met; none at the end.
    next: Option<ByteRecord>,
    /// The one before it.
    last: ByteRecord,
    difference: Difference,
}

impl Former {
    /// The file with these columns that is sorted by the cells `key`.
    ///
    /// # Errors
    /// Where it cannot be read, or has other columns.
    pub(super) fn new(file: File, columns: &[String], key: &[usize]) -> io::Result<Self> {
        let mut csv = csv::ReaderBuilder::new().buffer_capacity(BLOCK).from_reader(Bounded { file, left: 0 });
        csv.get_mut().left = MAX_RECORD_BYTES;
        let is_alike = csv.byte_headers()?.iter().eq(columns.iter().map(String::as_bytes));
        if !is_alike {
            return Err(io::Error::other("it has other columns"));
        }
        let (next, last) = (Some(ByteRecord::new()), ByteRecord::new());
        let mut this = Self { csv, key: key.to_owned(), next, last, difference: Difference::default() };
        this.advance()?;
        Ok(this)
    }

    /// Meets the next record of the new file: records come in the order of their keys.
    ///
    /// # Errors
    /// Where the former file cannot be read, or is not in that order.
    pub(super) fn meet(&mut self, record: Record<'_>) -> io::Result<()> {
        loop {
            match self.next.as_ref().map(|former| compare(former, record, &self.key)) {
                None | Some(Ordering::Greater) => {
                    self.difference.added += 1;
                    return Ok(());
                }
                Some(Ordering::Less) => self.difference.removed += 1,
                Some(Ordering::Equal) => {
                    let is_same = self.next.as_ref().is_some_and(|former| former.iter().eq(record.cells()));
                    self.difference.changed += u64::from(!is_same);
                    return self.advance();
                }
            }
            self.advance()?;
        }
    }

    /// What came of it, when all records were met.
    ///
    /// # Errors
    /// As of [`Former::meet`].
    pub(super) fn finish(mut self) -> io::Result<Difference> {
        while self.next.is_some() {
            self.difference.removed += 1;
            self.advance()?;
        }
        Ok(self.difference)
    }

    fn advance(&mut self) -> io::Result<()> {
        let Some(mut record) = self.next.take() else { return Ok(()) };
        std::mem::swap(&mut record, &mut self.last);
        self.csv.get_mut().left = MAX_RECORD_BYTES;
        if !self.csv.read_byte_record(&mut record)? {
            return Ok(());
        }
        let mut order = self.key.iter().map(|&index| self.last.get(index).cmp(&record.get(index)));
        let is_first = self.last.is_empty();
        if !is_first && order.find(|order| order.is_ne()) != Some(Ordering::Less) {
            return Err(io::Error::other("it is not in the order of its keys"));
        }
        self.next = Some(record);
        Ok(())
    }
}

/// By the cells of the key, as [`Record::compare`] does.
fn compare(former: &ByteRecord, record: Record<'_>, key: &[usize]) -> Ordering {
    let mut cells = key.iter().map(|&index| former.get(index).unwrap_or_default().cmp(record.cell(index)));
    cells.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Reads no more for one record than one may have.
struct Bounded {
    file: File,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.left = self.left.checked_sub(length).ok_or_else(|| io::Error::other("a record of it does not end"))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    /// A former file, the records now, and how many came, went and changed.
    type Case<'a> = (&'a str, &'a [[&'a str; 2]], [u64; 3]);

    /// A record as the sorter has it.
    fn record(cells: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut end = 0;
        for cell in cells {
            end += u32::try_from(cell.len()).unwrap();
            bytes.extend(end.to_le_bytes());
        }
        bytes.extend(cells.concat().as_bytes());
        bytes
    }

    fn check(former: &str, now: &[[&str; 2]], key: &[usize]) -> Result<[u64; 3], String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(former.as_bytes()).unwrap();
        file.rewind().unwrap();
        let columns = ["a", "b"].map(str::to_owned);
        let compared = Former::new(file, &columns, key).and_then(|mut former| {
            for cells in now {
                former.meet(Record::new(&record(cells), 2))?;
            }
            former.finish()
        });
        compared.map(|it| [it.added, it.removed, it.changed]).map_err(|error| error.to_string())
    }

    #[test]
    fn records_that_came_went_and_changed_are_counted() {
        let former = "a,b\n1,x\n2,\"x,\"\"y\"\"\"\n3,x\n5,x\n";
        let cases: [Case<'_>; 7] = [
            (former, &[["1", "x"], ["2", "x,\"y\""], ["3", "x"], ["5", "x"]], [0, 0, 0]),
            (former, &[["0", "x"], ["2", "other"], ["4", "x"], ["5", "x"], ["6", ""]], [3, 2, 1]),
            (former, &[], [0, 4, 0]),
            ("a,b\n", &[["1", "x"]], [1, 0, 0]),
            ("a,b\n", &[], [0, 0, 0]),
            (former, &[["6", "x"], ["7", "x"]], [2, 4, 0]),
            (former, &[["1", "x"]], [0, 3, 0]),
        ];
        for (former, now, expected) in cases {
            assert_eq!(check(former, now, &[0]), Ok(expected), "{former} {now:?}");
        }
        let links = "a,b\n1,x\n1,y\n2,x\n";
        assert_eq!(check(links, &[["1", "y"], ["1", "z"], ["2", "x"]], &[0, 1]), Ok([1, 1, 0]), "of two cells");
    }

    #[test]
    fn what_no_export_writes_is_not_compared() {
        for (former, why) in [
            ("", "other columns"),
            ("b,a\n", "other columns"),
            ("a,b,c\n", "other columns"),
            ("a,b\n2,x\n1,x\n", "not in the order"),
            ("a,b\n1,x\n1,y\n", "not in the order"),
            ("a,b\n1\n", "found record with 1 fields"),
        ] {
            let refused = check(former, &[["3", "x"]], &[0]).unwrap_err();
            assert!(refused.contains(why), "{former:?}: {refused}");
        }
        let endless = format!("a,b\n1,\"{}", "x".repeat(2 * MAX_RECORD_BYTES));
        assert!(check(&endless, &[], &[0]).unwrap_err().contains("does not end"));
    }
}
