//! A file's bytes as UTF-8, strictly: bytes that the encoding does not know are an error, none is replaced.
//!
//! A byte order mark says more about a file than its settings and is left out.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding};

/// Bytes read at once.
const BLOCK: usize = 64 << 10;
/// The longest character in UTF-8, and what the decoder wants free beside.
const ROOM: usize = 32;

/// Reads UTF-8 from a source in another encoding.
pub(super) struct Decoded<R> {
    source: R,
    decoder: Decoder,
    /// What was read and is not decoded yet.
    bytes: Vec<u8>,
    at: usize,
    /// What is decoded and was not taken yet.
    text: Vec<u8>,
    taken: usize,
    is_read: bool,
    is_done: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(source: R, encoding: &'static Encoding) -> Self {
        let (bytes, text) = (Vec::new(), Vec::new());
        let decoder = encoding.new_decoder();
        Self { source, decoder, bytes, at: 0, text, taken: 0, is_read: false, is_done: false }
    }

    fn decode_more(&mut self) -> io::Result<()> {
        if self.at == self.bytes.len() && !self.is_read {
            self.bytes.resize(BLOCK, 0);
            let count = self.source.read(&mut self.bytes)?;
            self.bytes.truncate(count);
            (self.at, self.is_read) = (0, count == 0);
        }
        self.text.resize(BLOCK * 3 + ROOM, 0);
        let source = &self.bytes[self.at..];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(source, &mut self.text, self.is_read);
        self.at += read;
        self.text.truncate(written);
        self.taken = 0;
        match result {
            DecoderResult::Malformed(..) => {
                let name = self.decoder.encoding().name();
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("there are bytes that are no {name}")))
            }
            DecoderResult::InputEmpty => {
                self.is_done = self.is_read;
                Ok(())
            }
            DecoderResult::OutputFull => Ok(()),
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() && !self.is_done {
            self.decode_more()?;
        }
        let count = into.len().min(self.text.len() - self.taken);
        into[..count].copy_from_slice(&self.text[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
