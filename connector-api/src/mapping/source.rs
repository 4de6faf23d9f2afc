//! The bytes of one XML file on their way to the parser: turned into UTF-8, counted and bounded.
//!
//! A [`Source`] knows the line and column of its next byte, and hands out at most [`MAX_PIECE`] bytes between two
//! calls of [`Source::mark`], because the parser buffers each tag, text and comment as a whole.
//! UTF-16 is told by its byte order mark, or by a `<` of two bytes (XML 1.0, appendix F).

use std::io::{self, BufRead, Cursor, Read};

/// The most bytes that one tag, text or comment may have.
pub(super) const MAX_PIECE: usize = 4 << 20;

const UTF8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// A line and a column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Spot {
    /// The place behind these bytes of UTF-8.
    pub(super) fn after(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            if *byte == b'\n' {
                self = Self { line: self.line + 1, column: 1 };
            } else if byte & 0xC0 != 0x80 {
                self.column += 1;
            }
        }
        self
    }
}

pub(super) struct Source<'a> {
    bytes: Box<dyn BufRead + 'a>,
    spot: Spot,
    room: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(mut bytes: impl BufRead + 'a) -> io::Result<Self> {
        let mut head = Vec::new();
        bytes.by_ref().take(UTF8_MARK.len() as u64).read_to_end(&mut head)?;
        let (mark, unit): (usize, Option<Unit>) = match head[..] {
            [0xFF, 0xFE, ..] => (2, Some(u16::from_le_bytes)),
            [0xFE, 0xFF, ..] => (2, Some(u16::from_be_bytes)),
            [b'<', 0, ..] => (0, Some(u16::from_le_bytes)),
            [0, b'<', ..] => (0, Some(u16::from_be_bytes)),
            _ if head == UTF8_MARK => (UTF8_MARK.len(), None),
            _ => (0, None),
        };
        let bytes = Cursor::new(head.split_off(mark)).chain(bytes);
        let bytes: Box<dyn BufRead + 'a> = match unit {
            Some(unit) => Box::new(Utf16 { bytes, unit, text: Vec::new(), read: 0 }),
            None => Box::new(bytes),
        };
        Ok(Self { bytes, spot: Spot { line: 1, column: 1 }, room: MAX_PIECE })
    }

    /// The place of the next byte.
    pub(super) fn spot(&self) -> Spot {
        self.spot
    }

    /// Begins a new piece, which may have [`MAX_PIECE`] bytes again.
    pub(super) fn mark(&mut self) {
        self.room = MAX_PIECE;
    }

    /// Whether the present piece is too long.
    pub(super) fn is_overrun(&self) -> bool {
        self.room == 0
    }
}

impl Read for Source<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.is_overrun() {
            return Err(io::Error::other("too long"));
        }
        let available = self.bytes.fill_buf()?;
        Ok(&available[..available.len().min(self.room)])
    }

    fn consume(&mut self, count: usize) {
        // What was not consumed yet is handed out again without reading.
        if let Ok(available) = self.bytes.fill_buf() {
            self.spot = self.spot.after(&available[..count]);
        }
        self.room -= count;
        self.bytes.consume(count);
    }
}

/// One unit of UTF-16 from its bytes in the file's order.
type Unit = fn([u8; 2]) -> u16;

/// UTF-16 as UTF-8, some thousand characters at a time.
struct Utf16<R> {
    bytes: R,
    unit: Unit,
    text: Vec<u8>,
    read: usize,
}

impl<R: BufRead> Utf16<R> {
    fn refill(&mut self) -> io::Result<()> {
        let mut failure = None;
        let units = std::iter::from_fn(|| {
            let mut pair = [0; 2];
            match self.bytes.read_exact(&mut pair) {
                Ok(()) => Some((self.unit)(pair)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                Err(error) => {
                    failure = Some(error);
                    None
                }
            }
        });
        let mut text = String::new();
        for character in char::decode_utf16(units).take(4096) {
            text.push(character.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no valid UTF-16"))?);
        }
        (self.text, self.read) = (text.into_bytes(), 0);
        failure.map_or(Ok(()), Err)
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Utf16<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.text.len() {
            self.refill()?;
        }
        Ok(&self.text[self.read..])
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}
