//! Text to filters and PATCH paths, by recursive descent over the grammar of RFC 7644 §3.4.2.2.
//!
//! Three limits keep hostile text cheap: its length, its terms, its depth. Beyond the grammar it takes what clients
//! send: `not(` without a space, words in any case, and Entra's `emails[type eq "work"].value eq "x"`, which means
//! `emails[type eq "work" and value eq "x"]`.

use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Result},
    syntax::{AttributePath, Filter, Operator, Path},
};

/// The longest filter or path, in bytes.
pub const MAX_FILTER_BYTES: usize = 64 * 1024;
/// The most comparisons in a filter.
pub const MAX_FILTER_TERMS: usize = 512;
/// How deep parentheses and brackets may lie in each other.
pub const MAX_FILTER_DEPTH: usize = 32;

/// How much of a text a message repeats.
const SHOWN: usize = 24;

/// Reads a filter. Errors: `invalidFilter` with the place.
pub fn filter(text: &str) -> Result<Filter> {
    let mut parser = Parser::new(text, ErrorKind::InvalidFilter)?;
    let filter = parser.either()?;
    parser.end()?;
    Ok(filter)
}

/// Reads the path of a PATCH operation. Errors: `invalidPath` with the place.
pub fn path(text: &str) -> Result<Path> {
    let mut parser = Parser::new(text, ErrorKind::InvalidPath)?;
    let attribute = parser.attribute()?;
    let mut path = Path { attribute, filter: None, sub: None };
    if parser.takes("[") {
        parser.refuse_sub(&path.attribute)?;
        path.filter = Some(parser.bracketed()?);
        path.sub = parser.sub()?;
    }
    parser.end()?;
    Ok(path)
}

/// Reads an attribute as `sortBy` and `attributes` name it. Errors: `invalidPath`.
pub(crate) fn attribute(text: &str) -> Result<AttributePath> {
    let mut parser = Parser::new(text, ErrorKind::InvalidPath)?;
    let attribute = parser.attribute()?;
    parser.end()?;
    Ok(attribute)
}

#[derive(Debug)]
struct Parser<'t> {
    text: &'t str,
    at: usize,
    terms: usize,
    depth: usize,
    kind: ErrorKind,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, kind: ErrorKind) -> Result<Self> {
        if text.len() > MAX_FILTER_BYTES {
            let detail = format!("it is longer than {MAX_FILTER_BYTES} bytes; ask in several requests");
            return Err(Error::of(kind, detail));
        }
        let mut parser = Self { text, at: 0, terms: 0, depth: 0, kind };
        parser.skip_spaces();
        Ok(parser)
    }

    /// `a or b or …`
    fn either(&mut self) -> Result<Filter> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Ok(Filter::any(parts))
    }

    /// `a and b and …`
    fn both(&mut self) -> Result<Filter> {
        let mut parts = vec![self.single()?];
        while self.takes_word("and") {
            parts.push(self.single()?);
        }
        Ok(Filter::all(parts))
    }

    fn single(&mut self) -> Result<Filter> {
        if self.takes("(") {
            return self.parenthesized();
        }
        let before = self.at;
        if self.takes_word("not") {
            if self.takes("(") {
                return Ok(Filter::Not(Box::new(self.parenthesized()?)));
            }
            self.at = before;
        }
        self.term()
    }

    fn parenthesized(&mut self) -> Result<Filter> {
        self.deeper()?;
        let filter = self.either()?;
        self.expect(")")?;
        self.depth -= 1;
        Ok(filter)
    }

    fn bracketed(&mut self) -> Result<Filter> {
        self.deeper()?;
        let filter = self.either()?;
        self.expect("]")?;
        self.depth -= 1;
        Ok(filter)
    }

    /// `attribute pr`, `attribute op value`, `attribute[filter]`.
    fn term(&mut self) -> Result<Filter> {
        self.terms += 1;
        if self.terms > MAX_FILTER_TERMS {
            let detail = format!("the filter has more than {MAX_FILTER_TERMS} terms; ask in several requests");
            return Err(Error::of(self.kind, detail));
        }
        let attribute = self.attribute()?;
        if self.takes("[") {
            self.refuse_sub(&attribute)?;
            let filter = self.bracketed()?;
            return match self.sub()? {
                None => Ok(Filter::Within(attribute, Box::new(filter))),
                Some(sub) => {
                    let of_element = self.test(AttributePath { urn: None, name: sub, sub: None })?;
                    Ok(Filter::Within(attribute, Box::new(Filter::all(vec![filter, of_element]))))
                }
            };
        }
        self.test(attribute)
    }

    fn test(&mut self, attribute: AttributePath) -> Result<Filter> {
        let before = self.at;
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(attribute));
        }
        let Some(operator) = Operator::named(word) else {
            self.at = before;
            return Err(self.unexpected("an operator (eq, ne, co, sw, ew, pr, gt, ge, lt, le)"));
        };
        Ok(Filter::Compare(attribute, operator, self.value()?))
    }

    /// A JSON value that is no array and no object.
    fn value(&mut self) -> Result<Value> {
        let rest = &self.text[self.at..];
        let length = if rest.starts_with('"') { string_length(rest) } else { Some(self.word_length()) };
        let token = length.map_or(rest, |length| &rest[..length]);
        let literal = ["true", "false", "null"].into_iter().find(|word| word.eq_ignore_ascii_case(token));
        match serde_json::from_str::<Value>(literal.unwrap_or(token)) {
            Ok(value) if !value.is_array() && !value.is_object() => {
                self.at += token.len();
                self.skip_spaces();
                Ok(value)
            }
            _ => Err(self.unexpected("a value: a text in double quotes, a number, true, false or null")),
        }
    }

    /// `[urn:]name[.sub]`: the URN ends at the last colon, the name at the first dot behind it.
    fn attribute(&mut self) -> Result<AttributePath> {
        let before = self.at;
        let token = self.word();
        let (urn, rest) = token.rsplit_once(':').map_or((None, token), |(urn, rest)| (Some(urn), rest));
        let (name, sub) = rest.split_once('.').map_or((rest, None), |(name, sub)| (name, Some(sub)));
        // The last part of a bare URN may be a version, as `2.0`.
        let (name, sub) = if urn.is_some() && !is_name(name) { (rest, None) } else { (name, sub) };
        let is_urn = urn.is_none_or(|urn| urn.contains(':') && !urn.starts_with(':'));
        let has_name = if urn.is_some() { !name.is_empty() } else { is_name(name) };
        if !is_urn || !has_name || !sub.is_none_or(is_name) {
            self.at = before;
            return Err(self.unexpected("the name of an attribute"));
        }
        Ok(AttributePath { urn: urn.map(str::to_owned), name: name.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// `.sub` behind a bracket.
    fn sub(&mut self) -> Result<Option<String>> {
        if !self.takes(".") {
            return Ok(None);
        }
        let before = self.at;
        let word = self.word();
        if is_name(word) {
            return Ok(Some(word.to_owned()));
        }
        self.at = before;
        Err(self.unexpected("the name of a sub-attribute"))
    }

    fn refuse_sub(&self, attribute: &AttributePath) -> Result<()> {
        if attribute.sub.is_none() {
            return Ok(());
        }
        Err(self.unexpected("an operator, since a filter in brackets belongs to a whole attribute"))
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            let detail = format!("parentheses and brackets are nested deeper than {MAX_FILTER_DEPTH}");
            return Err(Error::of(self.kind, detail));
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(sign);
        if is_next {
            self.at += sign.len();
            self.skip_spaces();
        }
        is_next
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let length = self.word_length();
        let is_next = self.text[self.at..self.at + length].eq_ignore_ascii_case(word);
        if is_next {
            self.at += length;
            self.skip_spaces();
        }
        is_next
    }

    /// Takes everything up to a space, a quote, a parenthesis or a bracket.
    fn word(&mut self) -> &'t str {
        let length = self.word_length();
        let word = &self.text[self.at..self.at + length];
        self.at += length;
        self.skip_spaces();
        word
    }

    fn word_length(&self) -> usize {
        let rest = &self.text[self.at..];
        rest.find([' ', '\t', '\r', '\n', '"', '(', ')', '[', ']']).unwrap_or(rest.len())
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let position = self.text[..self.at].chars().count() + 1;
        let rest = &self.text[self.at..];
        // A quoted text is a value, and values may be secret.
        let found: String = match rest.chars().next() {
            None => "the end".to_owned(),
            Some('"') => "a text in quotes".to_owned(),
            Some(_) => format!("`{}`", rest.chars().take_while(|sign| *sign != '"').take(SHOWN).collect::<String>()),
        };
        Error::of(self.kind, format!("at character {position}: found {found} instead of {wanted}"))
    }
}

/// The length of a JSON string with its quotes, if it ends.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// `ALPHA *("-" / "_" / DIGIT / ALPHA)`, and `$ref`.
fn is_name(text: &str) -> bool {
    let text = text.strip_prefix('$').unwrap_or(text);
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text.bytes().all(is_inside)
}

#[cfg(test)]
mod tests;
