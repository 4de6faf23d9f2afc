//! The text of one settings file as flat keys with the line and column of each.
//!
//! JSON with comments and trailing commas, as .NET configuration reads it, and nothing more lenient. A key given
//! twice is reported and the later value wins, because samples of the vendor's documentation contain such keys.
//! Errors point at the place and never repeat the text found there, which may be a secret.

use std::{ops::Range, sync::Arc};

use connector_api::{Error, ErrorKind, Result};
use jsonc_parser::{
    CollectOptions, ParseOptions, ParseStringErrorKind, Scanner, ScannerOptions, ast::Value, errors::ParseErrorKind,
    parse_to_ast, tokens::Token,
};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::{
    Warning,
    values::{Origin, Values},
};

const SCANNER: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// One value of a file.
pub(super) struct Leaf {
    /// The full key, `Connections:Okta:ApiKey`.
    pub(super) key: String,
    pub(super) text: SecretString,
    pub(super) is_null: bool,
    /// Where it is written, in bytes, quotes included.
    pub(super) range: Range<usize>,
    pub(super) origin: Origin,
}

/// Reads `text`, the contents of `file`, which is named in errors.
pub(super) fn parse(file: &str, text: &str, warnings: &mut Vec<Warning>) -> Result<Values> {
    let root = ast(file, text)?;
    let mut flat =
        Flat { file: file.into(), cursor: Cursor::new(text), key: String::new(), values: Values::default(), warnings };
    flat.members(&root);
    Ok(flat.values)
}

/// Every value of `text`, in order, with its full key and where exactly it is written.
pub(super) fn leaves(file: &str, text: &str) -> Result<Vec<Leaf>> {
    let root = ast(file, text)?;
    let mut leaves = Vec::new();
    let (name, mut cursor) = (Arc::<str>::from(file), Cursor::new(text));
    // The members still to be visited, the next one last.
    let mut open = vec![(String::new(), &root)];
    while let Some((key, value)) = open.pop() {
        let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}:{name}") };
        match value {
            Value::Object(object) => {
                open.extend(object.properties.iter().rev().map(|member| (below(member.name.as_str()), &member.value)));
            }
            Value::Array(array) => {
                let elements = array.elements.iter().enumerate().rev();
                open.extend(elements.map(|(index, element)| (below(&index.to_string()), element)));
            }
            leaf => {
                let range = range(leaf);
                let (line, column) = cursor.at(range.start);
                leaves.push(Leaf {
                    key,
                    text: self::text(leaf).unwrap_or_default().into(),
                    is_null: matches!(leaf, Value::NullKeyword(_)),
                    range: range.start..range.end,
                    origin: Origin::File { file: Arc::clone(&name), line, column },
                });
            }
        }
    }
    Ok(leaves)
}

/// The text without its comments. It must be what [`leaves`] can read.
pub(super) fn without_comments(text: &str) -> Zeroizing<String> {
    let mut scanner = Scanner::new(text, &SCANNER);
    let (mut kept, mut done) = (Zeroizing::new(String::with_capacity(text.len())), 0);
    while let Ok(Some(token)) = scanner.scan() {
        if matches!(token, Token::CommentLine(_) | Token::CommentBlock(_)) {
            kept.push_str(&text[done..scanner.token_start()]);
            done = scanner.token_end();
        }
    }
    kept.push_str(&text[done..]);
    kept
}

fn ast<'a>(file: &str, text: &'a str) -> Result<Value<'a>> {
    check_strings(file, text)?;
    let parsed = parse_to_ast(
        text,
        &CollectOptions::default(),
        &ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        },
    )
    .map_err(|error| {
        let (what, hint) = explain(error.kind());
        refuse(file, text, error.range().start, what, hint)
    })?;
    match parsed.value {
        Some(root @ Value::Object(_)) => Ok(root),
        _ => Err(refuse(file, text, 0, "the settings are not in `{ … }`", "write `{}` in a file without settings")),
    }
}

/// An error at the byte `offset` of `text`, as `file:line:column: what`.
pub(super) fn refuse(file: &str, text: &str, offset: usize, what: &str, hint: &str) -> Error {
    let (line, column) = Cursor::new(text).at(offset);
    Error::new(ErrorKind::Settings, format!("{file}:{line}:{column}: {what}")).with_hint(hint)
}

/// Refuses text in quotes that holds a line break or another control character.
///
/// The parser lets them pass, so that a missing quote would be reported somewhere on a later line.
fn check_strings(file: &str, text: &str) -> Result<()> {
    let mut scanner = Scanner::new(text, &SCANNER);
    loop {
        let token = scanner.scan();
        let start = scanner.token_start();
        let end = token.as_ref().map_or_else(|error| error.range().start, |_| scanner.token_end());
        let scanned = text.get(start..end).filter(|scanned| scanned.starts_with('"')).unwrap_or_default();
        match scanned.find(|c: char| c < ' ') {
            Some(at) if scanned[at..].starts_with(['\r', '\n']) => {
                let (what, hint) = explain(&ParseErrorKind::String(ParseStringErrorKind::UnterminatedStringLiteral));
                return Err(refuse(file, text, start, what, hint));
            }
            Some(at) => {
                let hint = "write a tab as `\\t` and other control characters as `\\u` and four hexadecimal digits";
                return Err(refuse(file, text, start + at, "a control character in a text", hint));
            }
            // What the scanner refuses, the parser will report.
            None if !matches!(token, Ok(Some(_))) => return Ok(()),
            None => {}
        }
    }
}

/// What is wrong and what to do about it, in words that repeat nothing of the file.
fn explain(kind: &ParseErrorKind) -> (&'static str, &'static str) {
    use ParseErrorKind as Kind;
    match kind {
        Kind::ExpectedComma => ("a comma is missing here", "write `,` between two settings"),
        Kind::UnexpectedComma => ("a comma too many", "remove it"),
        Kind::ExpectedColonAfterObjectKey => ("a colon is missing before this", "write `\"key\": value`"),
        Kind::UnexpectedColon => ("a colon where none belongs", "write `\"key\": value`, with the key in `\"`"),
        Kind::ExpectedObjectValue => ("the value is missing", "write `\"key\": value`"),
        Kind::SingleQuotedStringsNotAllowed => ("a text in single quotes", "put it in `\"`"),
        Kind::ExpectedStringObjectProperty => ("a key without quotes", "put it in `\"`"),
        Kind::UnexpectedWord => {
            ("a value without quotes", "put it in `\"`, unless it is true, false, null or a number")
        }
        Kind::String(ParseStringErrorKind::UnterminatedStringLiteral) => {
            ("the text that starts here is not closed", "end it with `\"` on the same line")
        }
        Kind::String(_) => ("an escape that JSON does not know", "write each backslash twice"),
        Kind::UnterminatedObject => ("the section that starts here is not closed", "end it with `}`"),
        Kind::UnterminatedArray => ("the list that starts here is not closed", "end it with `]`"),
        Kind::UnterminatedCommentBlock => ("the comment that starts here is not closed", "end it with `*/`"),
        Kind::UnexpectedCloseBrace => ("a `}` where none belongs", "compare the brackets before it"),
        Kind::UnexpectedCloseBracket => ("a `]` where none belongs", "compare the brackets before it"),
        Kind::MultipleRootJsonValues => ("more after the end of the settings", "keep one `{ … }` in the file"),
        Kind::NestingDepthExceeded => ("nested too deep", "settings need less than ten levels"),
        Kind::HexadecimalNumbersNotAllowed
        | Kind::UnaryPlusNumbersNotAllowed
        | Kind::BareDecimalPointNumbersNotAllowed
        | Kind::NonFiniteNumbersNotAllowed
        | Kind::ExpectedDigit
        | Kind::ExpectedDigitFollowingNegativeSign
        | Kind::ExpectedPlusMinusOrDigitInNumberLiteral => ("no number as JSON writes it", "put it in `\"`"),
        _ => ("this is not JSON", "write settings as `\"key\": value`"),
    }
}

/// The walk through the parsed file, in the order of its text.
struct Flat<'a> {
    file: Arc<str>,
    cursor: Cursor<'a>,
    key: String,
    values: Values,
    warnings: &'a mut Vec<Warning>,
}

impl Flat<'_> {
    fn members(&mut self, value: &Value<'_>) {
        match value {
            Value::Object(object) => {
                for member in &object.properties {
                    self.member(member.name.as_str(), member.range.start, &member.value);
                }
            }
            Value::Array(array) => {
                for (index, element) in array.elements.iter().enumerate() {
                    self.member(&index.to_string(), range(element).start, element);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, name: &str, start: usize, value: &Value<'_>) {
        let length = self.key.len();
        if length > 0 {
            self.key.push(':');
        }
        self.key.push_str(name);
        match text(value) {
            Some(text) => self.set(Some(text), range(value).start),
            None => {
                self.set(None, start);
                self.members(value);
            }
        }
        self.key.truncate(length);
    }

    fn set(&mut self, text: Option<&str>, offset: usize) {
        let (line, column) = self.cursor.at(offset);
        let origin = Origin::File { file: Arc::clone(&self.file), line, column };
        if let Some(former) = self.values.set(&self.key, text.map(Into::into), origin.clone()) {
            let Self { key, .. } = self;
            self.warnings.push(Warning(format!("{origin}: `{key}` is given before, at {former}; this value is used")));
        }
    }
}

/// The text of a value; none for a section or a list. Null is the empty text, which counts as unset.
fn text<'a>(value: &'a Value<'_>) -> Option<&'a str> {
    match value {
        Value::StringLit(text) => Some(&text.value),
        Value::NumberLit(number) => Some(number.value),
        Value::BooleanLit(flag) => Some(if flag.value { "true" } else { "false" }),
        Value::NullKeyword(_) => Some(""),
        Value::Object(_) | Value::Array(_) => None,
    }
}

fn range(value: &Value<'_>) -> jsonc_parser::common::Range {
    jsonc_parser::common::Ranged::range(value)
}

/// Turns byte offsets, given in ascending order, into lines and columns; both count from 1, columns in characters.
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
    column: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    fn at(&mut self, offset: usize) -> (usize, usize) {
        for c in self.text.get(self.offset..offset).unwrap_or_default().chars() {
            (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.offset = offset.max(self.offset);
        (self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Values, Vec<String>) {
        let mut warnings = Vec::new();
        let values = parse("a.json", text, &mut warnings).unwrap();
        (values, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_become_flat_keys_and_keep_their_text() {
        let (values, warnings) = read(
            r#"{
                // comments
                "Text": " https://<YourCompany>.okta.com", /* of both kinds */
                "Number": 1.50e3, "Big": 123456789012345678901234567890, "Flag": true, "Null": null, "Empty": "",
                "List": ["a", { "b": "c" },], "Section:Key": "d", "Escape": "C:\\temp\u0041",
                "None": {}, "NoneEither": [],
            }"#,
        );
        for (key, text) in [
            ("text", Some("https://<YourCompany>.okta.com")),
            ("NUMBER", Some("1.50e3")),
            ("Big", Some("123456789012345678901234567890")),
            ("Flag", Some("true")),
            ("Null", None),
            ("Empty", None),
            ("List:0", Some("a")),
            ("List:1:B", Some("c")),
            ("section:key", Some("d")),
            ("Escape", Some("C:\\tempA")),
            ("None", None),
            ("NoneEither", None),
            ("Absent", None),
        ] {
            assert_eq!(values.text(key), text, "{key}");
        }
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn places_count_lines_and_characters() {
        for (text, key, place) in [
            ("{\n  \"A\": 1\n}", "A", "a.json:2:8"),
            ("{\r\n  \"A\": {\r\n    \"B\": [1, true]}}", "A:B:1", "a.json:3:14"),
            ("{ \"Ä€𝄞\": \"x\", \"A\": 1 }", "A", "a.json:1:20"),
            ("{ \"A\": { \"B\": 1 } }", "A", "a.json:1:3"),
        ] {
            let (values, _) = read(text);
            assert_eq!(values.entry(key).unwrap().origin.to_string(), place, "{text}");
        }
    }

    #[test]
    fn a_key_given_twice_is_reported_and_the_later_value_wins() {
        let (values, warnings) = read("{ \"A\": { \"Key\": 1 },\n\"a\": { \"KEY\": 2, \"Other\": 3 } }");
        assert_eq!((values.text("A:Key"), values.text("A:Other")), (Some("2"), Some("3")));
        assert_eq!(warnings, ["a.json:2:15: `a:KEY` is given before, at a.json:1:17; this value is used"]);
    }

    #[test]
    fn errors_point_at_the_place_and_show_no_value() {
        let deep = "[".repeat(200_000);
        let deep_sections = "{\"a\":".repeat(200_000);
        for (text, expected) in [
            ("{\n  \"A\": \"00secret\"\n  \"B\": 1 }", "2:18: a comma is missing here"),
            ("{ \"A\": ['00secret'] }", "1:9: a text in single quotes"),
            ("{ 'A': 1 }", "1:3: a text in single quotes"),
            ("{ \"A\": \"00secret,\n \"B\": \"x\" }", "1:8: the text that starts here is not closed"),
            ("{ \"A\": \"00secret }", "1:8: the text that starts here is not closed"),
            ("{ \"A\": \"C:\\temp\\name,\r\n \"B\": 1 }", "1:8: the text that starts here is not closed"),
            ("{ \"A\": \"00secret\\q\" }", "1:17: an escape that JSON does not know"),
            ("{ \"A\": \"\\ud8000secret\" }", "1:9: an escape that JSON does not know"),
            ("{ \"A\": \"00\tsecret\" }", "1:11: a control character in a text"),
            ("{ \"A\": secret }", "1:8: a value without quotes"),
            ("{ A: \"00secret\" }", "1:3: a key without quotes"),
            ("{ \"A\" 1 }", "1:7: a colon is missing before this"),
            ("{ \"A\": }", "1:8: a `}` where none belongs"),
            ("{ \"A\":", "1:7: the value is missing"),
            ("{ \"ÄÖ\": [1, 2", "1:9: the list that starts here is not closed"),
            ("\r\n{ \"A\": { \"B\": 1 }", "2:1: the section that starts here is not closed"),
            ("{} /* 00secret", "1:4: the comment that starts here is not closed"),
            ("{ \"A\": 1,, }", "1:10: this is not JSON"),
            ("{ \"A\": [1,,] }", "1:11: a comma too many"),
            ("{ \"A\": 0xFF }", "1:8: no number as JSON writes it"),
            ("{ \"A\": +1 }", "1:8: no number as JSON writes it"),
            ("{ \"A\": 1. }", "1:8: no number as JSON writes it"),
            ("{ \"A\": NaN }", "1:8: a value without quotes"),
            ("{} {}", "1:4: more after the end of the settings"),
            ("", "1:1: the settings are not in `{ … }`"),
            ("[\"00secret\"]", "1:1: the settings are not in `{ … }`"),
            (deep.as_str(), "1:513: nested too deep"),
            (deep_sections.as_str(), "1:1282: nested too deep"),
        ] {
            let shown = &text[..text.floor_char_boundary(60)];
            let error = parse("a.json", text, &mut Vec::new()).map(|_| ()).expect_err(shown);
            assert_eq!(error.to_string(), format!("a.json:{expected}"), "{shown}");
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{shown}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
