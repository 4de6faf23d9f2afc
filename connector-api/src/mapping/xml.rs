//! One XML file as a stream of elements, safe to read whoever wrote it: no tree, no recursion, no expansion.
//!
//! Document type definitions are refused, so no entity but the five of XML exists; nesting, names, values and the
//! number of attributes have limits. Namespaces do not matter: prefixes of elements are ignored, attributes with a
//! prefix are left out. Of skipped elements only the nesting is checked. Source: XML 1.0.

use std::{
    borrow::Cow,
    io::{self, BufRead},
    sync::Arc,
};

use quick_xml::{
    XmlVersion,
    errors::{Error as XmlError, IllFormedError},
    escape::resolve_predefined_entity,
    events::{
        BytesDecl, BytesRef, BytesStart, Event,
        attributes::{AttrError, Attribute as XmlAttribute},
    },
};

use super::{
    Position, quoted,
    source::{MAX_PIECE, Source, Spot},
};
use crate::error::{Error, Result};

/// The most elements that may be open at once.
const MAX_DEPTH: usize = 256;
/// The most bytes of an element's or attribute's name.
const MAX_NAME: usize = 256;
/// The most bytes of an attribute's value.
const MAX_VALUE: usize = 64 << 10;
/// The most attributes of an element.
const MAX_ATTRIBUTES: usize = 256;

// What to do about it.
const UTF8: &str = "save the file as UTF-8";
const WELL_FORMED: &str = "correct the XML";
const ENTITIES: &str = "write `&amp;` for a plain `&`; only amp, lt, gt, quot and apos are known";
const LIMIT: &str = "the limit protects the agent: no configuration needs more";

/// What comes next in a file.
pub(super) enum Node {
    /// An element begins.
    Open(Element),
    /// The element that began last and is still open ends.
    Close,
    /// Text that is more than white space.
    Text(Position),
    /// The file ends; no element is open.
    End,
}

/// The start tag of an element.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) position: Position,
    pub(super) attributes: Vec<Attribute>,
}

/// An attribute without a prefix, its value normalised and its references resolved.
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) position: Position,
}

/// One file while it is read.
pub(super) struct Document<'a> {
    reader: quick_xml::Reader<Source<'a>>,
    buffer: Vec<u8>,
    file: Arc<str>,
    open: Vec<Spot>,
}

/// Where a piece of a file begins, and what can be wrong with the piece.
struct Place<'a> {
    file: &'a Arc<str>,
    spot: Spot,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &str, source: impl BufRead + 'a) -> Result<Self> {
        let file: Arc<str> = file.into();
        let source = Source::new(source)
            .map_err(|error| Place { file: &file, spot: Spot { line: 1, column: 1 } }.unreadable(&error))?;
        let mut reader = quick_xml::Reader::from_reader(source);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, buffer: Vec::new(), file, open: Vec::new() })
    }

    /// The number of elements that are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Node> {
        self.advance(true)
    }

    /// Passes over what is left of the element that began last, its end included.
    pub(super) fn skip(&mut self) -> Result<()> {
        let outside = self.open.len().saturating_sub(1);
        while self.open.len() > outside {
            self.advance(false)?;
        }
        Ok(())
    }

    /// What comes next; where `attributes` are not wanted, the next text or end tag.
    fn advance(&mut self, attributes: bool) -> Result<Node> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().mark();
            let spot = self.reader.get_ref().spot();
            let place = Place { file: &self.file, spot };
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(_) if self.reader.get_ref().is_overrun() => return Err(place.too_long()),
                Err(error) => return Err(place.ill_formed(&error)),
            };
            match event {
                Event::Start(tag) => {
                    self.open.push(spot);
                    place.check_nesting(self.open.len(), &tag)?;
                    if attributes {
                        return place.element(&tag).map(Node::Open);
                    }
                }
                Event::End(_) => {
                    self.open.pop();
                    return Ok(Node::Close);
                }
                Event::Text(text) => {
                    let blank = text.len() - text.trim_start().len();
                    if blank < text.len() {
                        return Ok(Node::Text(place.after(&text[..blank])));
                    }
                }
                Event::GeneralRef(reference) => {
                    place.check_reference(&reference)?;
                    return Ok(Node::Text(place.position()));
                }
                Event::CData(_) => return Ok(Node::Text(place.position())),
                Event::Decl(declaration) => place.check_encoding(&declaration)?,
                Event::DocType(_) => {
                    let message = "document type definitions are refused";
                    return Err(place.position().refuse(message, "remove `<!DOCTYPE …>` and write values out"));
                }
                // Empty elements come as start and end.
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
                Event::Eof => {
                    return match self.open.last() {
                        None => Ok(Node::End),
                        Some(&spot) => Err(Place { file: &self.file, spot }.position().refuse(
                            "the file ends before the element that begins here does",
                            "add the missing end tag; perhaps the file was cut short",
                        )),
                    };
                }
            }
        }
    }
}

impl Place<'_> {
    fn position(&self) -> Position {
        Position { file: Arc::clone(self.file), line: self.spot.line, column: self.spot.column }
    }

    fn after(&self, text: &str) -> Position {
        Self { file: self.file, spot: self.spot.after(text.as_bytes()) }.position()
    }

    fn too_long(&self) -> Error {
        let message = format!("the tag, text or comment that begins here is longer than {} MiB", MAX_PIECE >> 20);
        self.position().refuse(message, LIMIT)
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        let hint = if error.kind() == io::ErrorKind::InvalidData { UTF8 } else { "let the agent read the file" };
        self.position().refuse(format_args!("the file cannot be read: {error}"), hint)
    }

    fn ill_formed(&self, error: &XmlError) -> Error {
        match error {
            XmlError::Io(error) => self.unreadable(error),
            XmlError::Encoding(_) => self.position().refuse("what begins here is not UTF-8", UTF8),
            XmlError::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
                let message = format!("{} ends here, but {} is open", quoted(found), quoted(expected));
                self.position().refuse(message, WELL_FORMED)
            }
            XmlError::IllFormed(IllFormedError::UnmatchedEndTag(found)) => {
                self.position().refuse(format_args!("{} ends here, but it is not open", quoted(found)), WELL_FORMED)
            }
            XmlError::IllFormed(error) => self.position().refuse(error, WELL_FORMED),
            XmlError::Syntax(error) => self.position().refuse(error, WELL_FORMED),
            error => self.position().refuse(error, WELL_FORMED),
        }
    }

    fn check_nesting(&self, depth: usize, tag: &BytesStart<'_>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.position().refuse(format_args!("elements are nested deeper than {MAX_DEPTH}"), LIMIT));
        }
        if tag.name().as_ref().len() > MAX_NAME {
            return Err(self.position().refuse(format_args!("a name is longer than {MAX_NAME} bytes"), LIMIT));
        }
        Ok(())
    }

    fn check_reference(&self, reference: &BytesRef<'_>) -> Result<()> {
        match reference.resolve_char_ref() {
            Ok(Some(_)) => Ok(()),
            Ok(None) if resolve_predefined_entity(reference).is_some() => Ok(()),
            Ok(None) => {
                let message = format!("the entity {} is not defined", quoted(reference));
                Err(self.position().refuse(message, ENTITIES))
            }
            Err(error) => Err(self.ill_formed(&error)),
        }
    }

    /// The bytes have been told apart already; a declaration that contradicts them is refused.
    fn check_encoding(&self, declaration: &BytesDecl<'_>) -> Result<()> {
        let Some(Ok(encoding)) = declaration.encoding() else { return Ok(()) };
        let known = ["utf-8", "utf8", "utf-16", "us-ascii"];
        if known.iter().any(|name| encoding.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        Err(self.position().refuse(format_args!("the encoding {} is not supported", quoted(&encoding)), UTF8))
    }

    fn element(&self, tag: &BytesStart<'_>) -> Result<Element> {
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.ill_formed_attribute(tag, &error))?;
            let name = attribute.key.as_ref();
            // Both are parts of one text: their distance is the offset.
            let position = self.within(tag, name.as_ptr().addr() - tag.as_ptr().addr());
            if name.len() > MAX_NAME {
                return Err(position.refuse(format_args!("a name is longer than {MAX_NAME} bytes"), LIMIT));
            }
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(position.refuse(format_args!("a tag has more than {MAX_ATTRIBUTES} attributes"), LIMIT));
            }
            if name != "xmlns" && !name.contains(':') {
                let value = value(&attribute, &position)?;
                attributes.push(Attribute { name: name.to_owned(), value, position });
            }
        }
        let name = tag.local_name().as_ref().to_owned();
        Ok(Element { name, position: self.position(), attributes })
    }

    fn within(&self, tag: &BytesStart<'_>, offset: usize) -> Position {
        let before = &tag.as_bytes()[..offset.min(tag.len())];
        Self { file: self.file, spot: self.spot.after(b"<").after(before) }.position()
    }

    fn ill_formed_attribute(&self, tag: &BytesStart<'_>, error: &AttrError) -> Error {
        let (offset, message) = match *error {
            AttrError::ExpectedEq(offset) => (offset, "`=` is missing behind an attribute's name"),
            AttrError::ExpectedValue(offset) => (offset, "an attribute has no value"),
            AttrError::UnquotedValue(offset) => (offset, "an attribute's value is not in quotes"),
            AttrError::ExpectedQuote(offset, _) => (offset, "the closing quote of an attribute's value is missing"),
            AttrError::Duplicated(offset, _) => (offset, "the tag has this attribute twice"),
        };
        self.within(tag, offset).refuse(message, WELL_FORMED)
    }
}

fn value(attribute: &XmlAttribute<'_>, position: &Position) -> Result<String> {
    let name = quoted(attribute.key.as_ref());
    if attribute.value.len() > MAX_VALUE {
        let message = format!("the value of {name} is longer than {} KiB", MAX_VALUE >> 10);
        return Err(position.refuse(message, LIMIT));
    }
    // The parser's words would repeat the value, which may be a password.
    attribute.normalized_value(XmlVersion::Implicit1_0).map(Cow::into_owned).map_err(|_| {
        position.refuse(format_args!("the value of {name} has a `&` that begins no known entity"), ENTITIES)
    })
}
