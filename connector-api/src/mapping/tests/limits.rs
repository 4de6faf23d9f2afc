//! Files that are made to hurt: they are refused, or passed over, in little time and memory.

use std::io::{self, BufRead, BufReader, Read};

use super::*;

const HUNDRED_MB: usize = 100_000_000;

/// The same text over and over, 100 MB of it. Counts what was read.
struct Endless<'a> {
    text: &'a [u8],
    read: usize,
}

impl<'a> Endless<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), read: 0 }
    }

    fn size(&self) -> usize {
        HUNDRED_MB.next_multiple_of(self.text.len())
    }
}

impl Read for Endless<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let rest = &self.text[self.read % self.text.len()..];
        let count = rest.len().min(target.len()).min(self.size() - self.read);
        target[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

/// Reads `head` and 100 MB of `again` and compares the error; at most `most` bytes may have been taken.
fn check(head: &str, again: &str, most: usize, expected: &str) {
    let mut endless = Endless::new(again);
    let source = BufReader::new(head.as_bytes().chain(&mut endless));
    let error = Mapping::reader().read("a.xml", source).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(endless.read <= most, "{} bytes were read behind {head}", endless.read);
}

const PIECE: usize = (4 << 20) + 16384;

#[test]
fn a_huge_piece_is_not_buffered() {
    let expected = "a.xml:1:2: the tag, text or comment that begins here is longer than 4 MiB";
    let long = "x".repeat(4096);
    for head in
        ["\u{feff} <!--", " <?pi ", " <![CDATA[", " <!DOCTYPE ", " <Connector Identifier='", " <Connector ", " <"]
    {
        check(head, &long, PIECE, expected);
    }
    let expected = "a.xml:1:4: the tag, text or comment that begins here is longer than 4 MiB";
    check("<a>", &long, PIECE, expected);
    check("<a>", &" ".repeat(4096), PIECE, expected);
    check("<a>&", &long, PIECE, expected);
}

#[test]
fn a_file_in_one_buffer_is_not_copied_as_one() {
    let xml = format!("<Connector Identifier='{}'/>", "x".repeat(5 << 20));
    let error = read(&[("a.xml", &xml)]).unwrap_err();
    assert!(error.to_string().ends_with("longer than 4 MiB"), "{error}");
}

#[test]
fn deep_nesting_is_refused_early() {
    let expected = "a.xml:1:769: elements are nested deeper than 256";
    check("", "<a>", 16384, expected);
    let nested = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
    assert_eq!(read(&[("a.xml", &nested)]).unwrap_err().to_string(), expected);
}

#[test]
fn many_attributes_are_refused_early() {
    let attributes: String = (0..300_000).map(|index| format!("a{index}='' ")).collect();
    let error = read(&[("a.xml", &format!("<Connector {attributes}/>"))]).unwrap_err();
    assert_eq!(error.to_string(), "a.xml:1:1950: a tag has more than 256 attributes");
}

#[test]
fn names_and_values_have_limits() {
    let long = "x".repeat(70_000);
    for (xml, expected) in [
        (format!("<{long}/>"), "a.xml:1:1: a name is longer than 256 bytes"),
        (format!("<Connector {long}='1'/>"), "a.xml:1:12: a name is longer than 256 bytes"),
        (format!("<Connector Identifier='{long}'/>"), "a.xml:1:12: the value of `Identifier` is longer than 64 KiB"),
    ] {
        assert_eq!(read(&[("a.xml", &xml)]).unwrap_err().to_string(), expected);
    }
}

#[test]
fn messages_stay_short_and_in_one_line() {
    let xml = format!("<Connection Identifier='a&#10;b{}'/>", "x".repeat(1000));
    let (_, warnings) = read(&[("a.xml", &xml)]).unwrap();
    let message = &warnings[0].message;
    assert!(message.starts_with("`a bxx") && message.len() < 300, "{message}");
}

#[test]
fn what_is_kept_has_a_limit() {
    let kept = "<Connector Identifier='x'/>\n";
    check("", kept, 5_000_000, "a.xml:125673:1: the mapping is larger than 32 MiB up to here");
}

#[test]
fn a_hundred_megabytes_of_strangers_are_passed_over() {
    let stranger = format!("<SingleRole Identifier='{}'/>\n", "x".repeat(2000));
    let mut endless = Endless::new(&stranger);
    let head = "<ConfigurationFile>\n".as_bytes();
    let source = head.chain(&mut endless).chain("</ConfigurationFile>".as_bytes());
    let mut reader = Mapping::reader();
    reader.read("a.xml", BufReader::new(source)).unwrap();
    let (_, warnings) = reader.finish().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(endless.read >= HUNDRED_MB);
}

#[test]
fn warnings_are_counted_and_not_kept() {
    let xml: String = (0..1000).map(|index| format!("<Stranger{index}/><Stranger{index}/>\n")).collect();
    let (_, warnings) = read(&[("a.xml", &xml)]).unwrap();
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings[99].to_string(), "a.xml:100:1: `Stranger99` is no part of the mapping and is left out");
    assert_eq!(warnings[100].to_string(), "a.xml:100:1: and 1800 more warnings");
}

#[test]
fn a_failing_disk_is_an_error_with_a_position() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let source = "<Connector \n".as_bytes().chain(Broken);
    let read = |source: &mut dyn BufRead| Mapping::reader().read("a.xml", source).unwrap_err().to_string();
    assert_eq!(read(&mut BufReader::new(source)), "a.xml:1:1: the file cannot be read: the disk is gone");
    assert_eq!(read(&mut BufReader::new(Broken)), "a.xml:1:1: the file cannot be read: the disk is gone");
}

#[test]
fn no_damaged_file_makes_the_reader_panic() {
    let whole = reading::WHOLE.as_bytes();
    for (index, damage) in (0..whole.len()).zip(b"<>&;'\"=/!?-[] \0\xC3\xFF".iter().cycle()) {
        let _ = Mapping::reader().read("a.xml", &whole[..index]);
        let mut damaged = whole.to_vec();
        damaged[index] = *damage;
        let _ = Mapping::reader().read("a.xml", &damaged[..]);
    }
}
