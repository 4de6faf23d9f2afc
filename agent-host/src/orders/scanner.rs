//! Finds the orders of a file without holding more of it than one order: where each begins, how long it is, its text.
//!
//! Reads `{"ProvisioningOrdersList":[…]}`, a bare list, and a bare order, as strict JSON in UTF-8 with or without a byte
//! order mark. Other members beside the list are passed over. What an order holds is for its reader to judge; here
//! brackets and strings are followed, so that a file that breaks off is told from one that is wrong.

use std::{fmt, io, mem};

/// Bytes of one order.
pub(crate) const MAX_ORDER_BYTES: usize = 1 << 20;
/// Brackets within brackets, as deep as orders are read.
const MAX_DEPTH: usize = 120;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// The member that holds the orders; vendor's name.
const LIST: &str = "ProvisioningOrdersList";
/// Members of which a bare order has one at least.
const OF_AN_ORDER: [&str; 3] = ["ChangeType", "AssignedResourceTypeId", "ResourceType"];

/// A place in a file: `line` and `column` from 1, the column in characters; `offset` in bytes from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) offset: u64,
}

/// One order of a file; its text is in the buffer that was given, unless it is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it begins.
    pub(crate) place: Place,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// Whether it is longer than [`MAX_ORDER_BYTES`]: then the buffer holds its beginning.
    pub(crate) too_large: bool,
}

/// Why a file cannot be read as orders.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is wrong at this place.
    Wrong { place: Place, what: String },
    /// It ends before it is whole.
    CutShort { place: Place },
    /// The disk says no.
    Io(io::Error),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {} (byte {})", self.line, self.column, self.offset)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { place, what } => write!(f, "{place}: {what}"),
            Self::CutShort { place } => write!(f, "{place}: the file ends before its JSON does"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Goes through a file from order to order.
#[derive(Debug)]
pub(crate) struct Scanner<R> {
    input: R,
    chunk: Box<[u8]>,
    at: usize,
    end: usize,
    place: Place,
    state: State,
    /// What is read is kept here while it may be an order.
    kept: Option<Vec<u8>>,
    too_large: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// Between the members of the root; whether a comma must come first.
    Root {
        more: bool,
    },
    /// Between the elements of a list.
    List {
        in_root: bool,
        more: bool,
    },
    End,
}

impl<R: io::Read> Scanner<R> {
    pub(crate) fn new(input: R) -> Self {
        let place = Place { line: 1, column: 1, offset: 0 };
        let chunk = vec![0; CHUNK].into_boxed_slice();
        Self { input, chunk, at: 0, end: 0, place, state: State::Start, kept: None, too_large: false }
    }

    /// The next order, its text in `text`; none at the end of a file that is whole.
    pub(crate) fn next(&mut self, text: &mut Vec<u8>) -> Result<Option<Found>, Unreadable> {
        text.clear();
        loop {
            match self.state {
                State::Start => self.start()?,
                State::Root { more } => {
                    if let Some(found) = self.root(more, text)? {
                        return Ok(Some(found));
                    }
                }
                State::List { in_root, more } => {
                    if let Some(found) = self.element(in_root, more, text)? {
                        return Ok(Some(found));
                    }
                }
                State::End => {
                    self.skip_blanks()?;
                    return match self.peek()? {
                        None => Ok(None),
                        Some(_) => Err(self.wrong("something follows after the end of the JSON")),
                    };
                }
            }
        }
    }

    fn start(&mut self) -> Result<(), Unreadable> {
        if self.peek()? == Some(0xEF) {
            for expected in [0xEF, 0xBB, 0xBF] {
                if self.bump()? != expected {
                    return Err(self.wrong("the file is not UTF-8"));
                }
            }
            self.place.column = 1;
        }
        self.skip_blanks()?;
        self.state = match self.peek()? {
            Some(b'{') => {
                self.keep();
                self.bump()?;
                State::Root { more: false }
            }
            Some(b'[') => {
                self.bump()?;
                State::List { in_root: false, more: false }
            }
            None => return Err(Unreadable::CutShort { place: self.place }),
            Some(_) => return Err(self.wrong("orders begin with `{` or `[`")),
        };
        Ok(())
    }

    /// Reads members of the root until a list begins or the root ends, which may be an order itself.
    fn root(&mut self, mut more: bool, text: &mut Vec<u8>) -> Result<Option<Found>, Unreadable> {
        let mut is_order = false;
        let began = self.place.offset.saturating_sub(self.kept.as_ref().map_or(0, |kept| kept.len() as u64));
        let first = Place { offset: began, ..self.place };
        loop {
            self.skip_blanks()?;
            match self.peek()? {
                Some(b'}') => {
                    self.bump()?;
                    self.state = State::End;
                    if self.kept.is_none() {
                        return Ok(None);
                    }
                    if !is_order {
                        let what = format!("there is no `{LIST}`, and it is no order by itself");
                        return Err(self.wrong(&what));
                    }
                    return Ok(Some(self.found(first, text)));
                }
                Some(b',') if more => {
                    self.bump()?;
                    self.skip_blanks()?;
                }
                _ if more => return Err(self.expected("`,` or `}`")?),
                _ => {}
            }
            let name = self.name()?;
            self.skip_blanks()?;
            if self.peek()? != Some(b':') {
                return Err(self.expected("`:`")?);
            }
            self.bump()?;
            self.skip_blanks()?;
            is_order |= OF_AN_ORDER.iter().any(|member| member.eq_ignore_ascii_case(&name));
            if name.eq_ignore_ascii_case(LIST) && self.peek()? == Some(b'[') {
                self.kept = None;
                self.bump()?;
                self.state = State::List { in_root: true, more: false };
                return Ok(None);
            }
            self.value()?;
            more = true;
        }
    }

    fn element(&mut self, in_root: bool, more: bool, text: &mut Vec<u8>) -> Result<Option<Found>, Unreadable> {
        self.skip_blanks()?;
        match self.peek()? {
            Some(b']') => {
                self.bump()?;
                self.state = if in_root { State::Root { more: true } } else { State::End };
                return Ok(None);
            }
            Some(b',') if more => {
                self.bump()?;
                self.skip_blanks()?;
            }
            _ if more => return Err(self.expected("`,` or `]`")?),
            _ => {}
        }
        let place = self.place;
        self.keep();
        self.value()?;
        self.state = State::List { in_root, more: true };
        Ok(Some(self.found(place, text)))
    }

    /// What was kept since `place` is an order.
    fn found(&mut self, place: Place, text: &mut Vec<u8>) -> Found {
        let mut kept = self.kept.take().unwrap_or_default();
        mem::swap(text, &mut kept);
        Found { place, length: self.place.offset - place.offset, too_large: self.too_large }
    }

    fn keep(&mut self) {
        self.kept = Some(Vec::new());
        self.too_large = false;
    }

    /// A member's name. One that is not text as JSON has it is found when the order is read.
    fn name(&mut self) -> Result<String, Unreadable> {
        if self.peek()? != Some(b'"') {
            return Err(self.expected("the name of a member in quotes")?);
        }
        self.bump()?;
        let mut name = Vec::new();
        self.string(|byte| {
            if name.len() <= LIST.len() {
                name.push(byte);
            }
        })?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Goes past the rest of a string whose first quote was read.
    fn string(&mut self, mut seen: impl FnMut(u8)) -> Result<(), Unreadable> {
        loop {
            match self.bump()? {
                b'"' => return Ok(()),
                b'\\' => {
                    self.bump()?;
                }
                byte if byte < 0x20 => return Err(self.wrong("a control character within a text")),
                byte => seen(byte),
            }
        }
    }

    /// Goes past one value.
    fn value(&mut self) -> Result<(), Unreadable> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.skip_blanks()?;
            match self.peek()? {
                Some(byte @ (b'{' | b'[')) => {
                    if open.len() == MAX_DEPTH {
                        return Err(self.wrong(&format!("more than {MAX_DEPTH} brackets within each other")));
                    }
                    self.bump()?;
                    open.push(if byte == b'{' { b'}' } else { b']' });
                }
                Some(byte @ (b'}' | b']')) => {
                    if open.pop() != Some(byte) {
                        return Err(self.wrong("a bracket that was not opened"));
                    }
                    self.bump()?;
                }
                Some(b'"') => {
                    self.bump()?;
                    self.string(|_| {})?;
                }
                Some(b',' | b':') if !open.is_empty() => {
                    self.bump()?;
                    continue;
                }
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => self.word()?,
                _ => return Err(self.expected("a value")?),
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Goes past a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), Unreadable> {
        while self.peek()?.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
            self.bump()?;
        }
        Ok(())
    }

    fn skip_blanks(&mut self) -> Result<(), Unreadable> {
        while self.peek()?.is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.bump()?;
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, Unreadable> {
        while self.at == self.end {
            self.end = match self.input.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.at = 0;
        }
        Ok(Some(self.chunk[self.at]))
    }

    fn bump(&mut self) -> Result<u8, Unreadable> {
        let byte = self.peek()?.ok_or(Unreadable::CutShort { place: self.place })?;
        self.at += 1;
        self.place.offset += 1;
        match byte {
            b'\n' => (self.place.line, self.place.column) = (self.place.line + 1, 1),
            // All bytes of a character but the first are of this kind.
            0x80..=0xBF => {}
            _ => self.place.column += 1,
        }
        match &mut self.kept {
            Some(kept) if kept.len() < MAX_ORDER_BYTES => kept.push(byte),
            Some(_) => self.too_large = true,
            None => {}
        }
        Ok(byte)
    }

    fn wrong(&self, what: &str) -> Unreadable {
        Unreadable::Wrong { place: self.place, what: what.to_owned() }
    }

    /// What to say where something else is there, or nothing any more.
    fn expected(&mut self, what: &str) -> Result<Unreadable, Unreadable> {
        Ok(match self.peek()? {
            None => Unreadable::CutShort { place: self.place },
            Some(_) => self.wrong(&format!("{what} is missing")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a file a byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = usize::from(!self.0.is_empty());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn scan(text: &str) -> Result<Vec<String>, String> {
        let mut scanner = Scanner::new(Trickle(text.as_bytes()));
        let (mut orders, mut buffer) = (Vec::new(), Vec::new());
        while let Some(found) = scanner.next(&mut buffer).map_err(|error| error.to_string())? {
            let start = usize::try_from(found.place.offset).unwrap();
            let length = usize::try_from(found.length).unwrap();
            assert_eq!(&text.as_bytes()[start..start + length], buffer, "{text}");
            orders.push(String::from_utf8(buffer.clone()).unwrap());
        }
        Ok(orders)
    }

    #[test]
    fn orders_are_found_wherever_they_may_be() {
        let cases: [(&str, &[&str]); 8] = [
            (
                r#"{"ProvisioningOrdersList":[{"a":"]}\"","b":[{}]} , {"c":1}]}"#,
                &[r#"{"a":"]}\"","b":[{}]}"#, r#"{"c":1}"#],
            ),
            (r#"{"ProvisioningOrdersList":[]}"#, &[]),
            (r#"{"before":{"x":[1]},"provisioningorderslist":[{"a":1}],"after":null}"#, &[r#"{"a":1}"#]),
            (
                r#"{"ProvisioningOrdersList":null,"ChangeType":"Added"}"#,
                &[r#"{"ProvisioningOrdersList":null,"ChangeType":"Added"}"#],
            ),
            ("\u{feff} [ {\"a\":1},5 ]\n", &["{\"a\":1}", "5"]),
            ("\u{feff}{\"ChangeType\":\"Added\"}\n", &["{\"ChangeType\":\"Added\"}"]),
            (
                "  {\"Changes\":{},\"ResourceType\":{\"Identifier\":\"é\"}}",
                &["{\"Changes\":{},\"ResourceType\":{\"Identifier\":\"é\"}}"],
            ),
            ("[]", &[]),
        ];
        for (text, orders) in cases {
            assert_eq!(scan(text).unwrap(), orders, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        let deep = format!("[{}", "[".repeat(MAX_DEPTH + 1));
        let cases = [
            ("", "line 1, column 1 (byte 0): the file ends"),
            ("[{\"é\":1},\n {\"a\"", "line 2, column 6 (byte 16): the file ends"),
            ("[{\"a\":\"x", "line 1, column 9 (byte 8): the file ends"),
            ("[{}] x", "line 1, column 6 (byte 5): something follows"),
            ("[{} {}]", "line 1, column 5 (byte 4): `,` or `]` is missing"),
            ("[{]", "line 1, column 3 (byte 2): a bracket"),
            ("{\"a\":1}", "it is no order by itself"),
            ("{\"ChangeType\" 1}", "`:` is missing"),
            ("{ChangeType:1}", "the name of a member"),
            ("orders", "orders begin with"),
            ("[{},]", "a bracket that was not opened"),
            (&deep, "more than 120 brackets"),
        ];
        for (text, expected) in cases {
            let error = scan(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_huge_file_is_streamed_and_an_order_of_it_never_held() {
        // A test that is not optimised would take minutes for what the program does in a second.
        let huge = if cfg!(debug_assertions) { 48 << 20 } else { 500 << 20 };
        let filling = io::Read::take(io::repeat(b'y'), huge);
        let text = io::Read::chain(&br#"[{"a":1},{"x":""#[..], filling);
        let mut scanner = Scanner::new(io::Read::chain(text, &br#""},{"b":2}]"#[..]));
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        while let Some(next) = scanner.next(&mut buffer).unwrap() {
            assert!(buffer.capacity() <= 2 * MAX_ORDER_BYTES, "{} bytes are held", buffer.capacity());
            found.push((next.length, next.too_large));
        }
        assert_eq!(found, [(7, false), (huge + 8, true), (7, false)]);
    }

    #[test]
    fn a_large_order_is_passed_over_and_the_next_one_found() {
        let large = format!("{{\"AssignedResourceTypeId\":\"7\",\"x\":\"{}\"}}", "y".repeat(MAX_ORDER_BYTES));
        let text = format!("[{large},{{\"a\":1}}]");
        let mut scanner = Scanner::new(text.as_bytes());
        let mut buffer = Vec::new();
        let found = scanner.next(&mut buffer).unwrap().unwrap();
        assert!(found.too_large && found.length == large.len() as u64 && buffer.len() == MAX_ORDER_BYTES);
        let found = scanner.next(&mut buffer).unwrap().unwrap();
        assert!(!found.too_large && buffer == b"{\"a\":1}");
        assert!(scanner.next(&mut buffer).unwrap().is_none());
    }
}
