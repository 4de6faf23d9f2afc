//! Lines of CSV, read strictly by RFC 4180, with another separator where one is set.
//!
//! The crate that we write with reads whatever it is given: a quote that is not closed swallows the rest of the file, and
//! nobody knows where. Here each such thing is a fault with its line, and a record is bounded.

use std::{
    io::{self, BufRead},
    path::Path,
};

use connector_api::{Error, ErrorKind};

/// The longest record. A quote that is not closed ends here.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// The most values of a record.
const MAX_CELLS: usize = 10_000;

/// The values of one record.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        std::str::from_utf8(&self.text[start..self.ends[index]]).expect("whole characters come from the decoder")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Fault {
    line: u64,
    what: String,
    kind: ErrorKind,
}

impl Fault {
    /// The fault with the name of the file.
    pub(super) fn in_file(self, path: &Path) -> Error {
        let message = format!("`{}`, line {}: {}", path.display(), self.line, self.what);
        let hint = "mend the file, or the settings `Encoding` and `Separator`; nothing was taken from it";
        Error::new(self.kind, message).with_hint(hint)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value.
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes: the end, or one half of a quote.
    Quote,
    /// After CR, before LF.
    Return,
}

/// Reads records from UTF-8.
pub(super) struct Lines<R> {
    source: R,
    separator: u8,
    /// The line that is read, from 1.
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R, separator: u8) -> Self {
        Self { source, separator, line: 1 }
    }

    /// Leaves out a line, whatever is in it.
    pub(super) fn skip_line(&mut self) -> Result<(), Fault> {
        while let Some(byte) = self.take()? {
            if byte == b'\n' {
                self.line += 1;
                break;
            }
        }
        Ok(())
    }

    /// Reads the next record; the line in which it begins, or none at the end. Blank lines are left out.
    pub(super) fn next(&mut self, cells: &mut Cells) -> Result<Option<u64>, Fault> {
        cells.text.clear();
        cells.ends.clear();
        let (mut state, mut began, mut is_blank) = (State::Start, self.line, true);
        loop {
            let byte = self.take()?;
            state = match (state, byte) {
                (State::Quoted, None) => return Err(fault(began, "a quote is opened and never closed")),
                (State::Start, None) if is_blank => return Ok(None),
                (State::Return, Some(b'\n')) | (State::Start | State::Plain | State::Quote, None | Some(b'\n')) => {
                    self.line += u64::from(byte.is_some());
                    if !is_blank {
                        cells.ends.push(cells.text.len());
                        return Ok(Some(began));
                    }
                    began = self.line;
                    State::Start
                }
                (State::Return, _) => return Err(fault(self.line, "a line ends in CR without LF")),
                (State::Quoted, Some(b'"')) => State::Quote,
                (State::Quote, Some(b'"')) | (State::Quoted, Some(_)) => {
                    let byte = byte.unwrap_or(b'"');
                    self.line += u64::from(byte == b'\n');
                    cells.text.push(byte);
                    State::Quoted
                }
                (_, Some(b'\r')) => State::Return,
                (State::Start, Some(b'"')) => State::Quoted,
                (_, Some(byte)) if byte == self.separator => {
                    cells.ends.push(cells.text.len());
                    State::Start
                }
                (State::Quote, Some(_)) => return Err(fault(self.line, "a value goes on after its closing quote")),
                (_, Some(b'"')) => return Err(fault(self.line, "a quote stands in a value that is not quoted")),
                (_, Some(0)) => return Err(fault(self.line, "a NUL byte is in the text: the encoding is another")),
                (_, Some(byte)) => {
                    cells.text.push(byte);
                    State::Plain
                }
            };
            is_blank &= matches!(byte, Some(b'\r' | b'\n'));
            if cells.text.len() > MAX_RECORD_BYTES || cells.ends.len() > MAX_CELLS {
                return Err(fault(began, "the record is too long: perhaps a quote is opened and never closed"));
            }
        }
    }

    fn take(&mut self) -> Result<Option<u8>, Fault> {
        let line = self.line;
        let failed = |error: io::Error| {
            let kind =
                if error.kind() == io::ErrorKind::InvalidData { ErrorKind::Protocol } else { ErrorKind::Unavailable };
            Fault { line, what: error.to_string(), kind }
        };
        let byte = self.source.fill_buf().map_err(failed)?.first().copied();
        if byte.is_some() {
            self.source.consume(1);
        }
        Ok(byte)
    }
}

fn fault(line: u64, what: &str) -> Fault {
    Fault { line, what: what.to_owned(), kind: ErrorKind::Protocol }
}
