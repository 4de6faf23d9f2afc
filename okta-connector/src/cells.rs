//! Okta's JSON to cells: a page of objects is read once, and only the wanted paths are kept. No document tree.
//!
//! A path is found exactly, else ignoring case. Values keep Okta's own text: dates, numbers and booleans unchanged,
//! null and absent empty, arrays sorted bytewise and joined with LF, objects as compact JSON in their own key order.

use std::{borrow::Cow, cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The paths wanted of each object, as a tree by path segment.
#[derive(Debug)]
pub(crate) struct Paths {
    root: Node,
    width: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// The cells that take this value as a whole.
    cells: Vec<usize>,
    children: Vec<(Box<str>, Node)>,
}

impl Paths {
    /// The cells of an object are the values at `paths`, in this order. A path is dotted: `profile.city`.
    pub(crate) fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut root = Node::default();
        let mut width = 0;
        for (cell, path) in paths.into_iter().enumerate() {
            let node = path.split('.').fold(&mut root, Node::child_for);
            node.cells.push(cell);
            width = cell + 1;
        }
        Self { root, width }
    }

    /// Reads a page, a JSON array of objects, and gives the cells of each object to `take`.
    pub(crate) fn read<'p>(&self, page: &'p str, take: impl FnMut(&[Cow<'p, str>])) -> serde_json::Result<()> {
        let mut deserializer = serde_json::Deserializer::from_str(page);
        let row = RefCell::new(Row::new(self.width));
        deserializer.deserialize_seq(Page { paths: self, row: &row, take })?;
        deserializer.end()
    }
}

impl Node {
    fn child_for(&mut self, name: &str) -> &mut Self {
        let place = self.children.iter().position(|(child, _)| **child == *name).unwrap_or_else(|| {
            self.children.push((name.into(), Self::default()));
            self.children.len() - 1
        });
        &mut self.children[place].1
    }

    /// The children a key of the object is for. Several when paths differ in case alone.
    fn children_named(&self, key: &str) -> impl Iterator<Item = (&Self, bool)> {
        self.children
            .iter()
            .filter(move |(name, _)| name.len() == key.len() && name.eq_ignore_ascii_case(key))
            .map(move |(name, child)| (child, **name == *key))
    }
}

/// The cells of the object being read, and whether a cell came from the path exactly as it was asked for.
struct Row<'p> {
    cells: Vec<Cow<'p, str>>,
    exact: Vec<bool>,
}

impl<'p> Row<'p> {
    fn new(width: usize) -> Self {
        Self { cells: vec![Cow::Borrowed(""); width], exact: vec![false; width] }
    }

    fn clear(&mut self) {
        self.cells.fill(Cow::Borrowed(""));
        self.exact.fill(false);
    }

    fn set(&mut self, cell: usize, text: Cow<'p, str>, exact: bool) {
        if exact || !self.exact[cell] {
            self.cells[cell] = text;
            self.exact[cell] = exact;
        }
    }
}

struct Page<'a, 'p, F> {
    paths: &'a Paths,
    row: &'a RefCell<Row<'p>>,
    take: F,
}

impl<'p, F: FnMut(&[Cow<'p, str>])> Visitor<'p> for Page<'_, 'p, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'p>>(mut self, mut page: A) -> Result<(), A::Error> {
        let object = || Object { node: &self.paths.root, row: self.row, exact: true };
        while page.next_element_seed(object())?.is_some() {
            (self.take)(&self.row.borrow().cells);
            self.row.borrow_mut().clear();
        }
        Ok(())
    }
}

/// An object of which some paths are wanted.
#[derive(Clone, Copy)]
struct Object<'a, 'p> {
    node: &'a Node,
    row: &'a RefCell<Row<'p>>,
    /// Whether every segment up to here was spelt as asked.
    exact: bool,
}

impl<'p> DeserializeSeed<'p> for Object<'_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'p> Visitor<'p> for Object<'_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = object.next_key()? {
            let mut wanted = self.node.children_named(&key);
            match (wanted.next(), wanted.next()) {
                (None, _) => {
                    object.next_value::<IgnoredAny>()?;
                }
                (Some((node, exact)), None) => object.next_value_seed(self.value(node, exact))?,
                // Paths that differ in case alone: each takes what it finds.
                (Some(_), Some(_)) => {
                    let raw: &'p RawValue = object.next_value()?;
                    for (node, exact) in self.node.children_named(&key) {
                        self.value(node, exact).take(raw).map_err(A::Error::custom)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'a, 'p> Object<'a, 'p> {
    fn value(self, node: &'a Node, exact: bool) -> Wanted<'a, 'p> {
        Wanted(Object { node, exact: self.exact && exact, ..self })
    }
}

/// A value that is wanted: as a cell, for the values within it, or both.
struct Wanted<'a, 'p>(Object<'a, 'p>);

impl<'p> DeserializeSeed<'p> for Wanted<'_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.node.cells.is_empty() {
            return deserializer.deserialize_any(Within(self.0));
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
        self.take(raw).map_err(D::Error::custom)
    }
}

impl<'p> Wanted<'_, 'p> {
    fn take(self, raw: &'p RawValue) -> serde_json::Result<()> {
        if !self.0.node.cells.is_empty() {
            let text = cell_text(raw)?;
            for &cell in &self.0.node.cells {
                self.0.row.borrow_mut().set(cell, text.clone(), self.0.exact);
            }
        }
        if !self.0.node.children.is_empty() {
            serde_json::Deserializer::from_str(raw.get()).deserialize_any(Within(self.0))?;
        }
        Ok(())
    }
}

/// A value of which only parts are wanted; where it is no object there are none.
struct Within<'a, 'p>(Object<'a, 'p>);

impl<'p> Visitor<'p> for Within<'_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'p>>(self, object: A) -> Result<(), A::Error> {
        self.0.visit_map(object)
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// A key of an object, borrowed from the page where it has no escapes.
struct Key<'p>(Cow<'p, str>);

impl<'p> serde::Deserialize<'p> for Key<'p> {
    fn deserialize<D: Deserializer<'p>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'p> Visitor<'p> for Text {
            type Value = Key<'p>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'p str) -> Result<Key<'p>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'p>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The text of a value in a cell.
fn cell_text<'p>(raw: &'p RawValue) -> serde_json::Result<Cow<'p, str>> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') if !json.contains('\\') => Ok(Cow::Borrowed(&json[1..json.len() - 1])),
        Some(b'"') => serde_json::from_str(json).map(Cow::Owned),
        Some(b'n') => Ok(Cow::Borrowed("")),
        Some(b'{') => Ok(Cow::Owned(compact(json))),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json)?;
            let elements = elements.into_iter().map(|element| match element.get().as_bytes().first() {
                Some(b'[') => Ok(Cow::Owned(compact(element.get()))),
                _ => cell_text(element),
            });
            let mut elements: Vec<Cow<'_, str>> = elements.collect::<serde_json::Result<_>>()?;
            elements.sort_unstable();
            Ok(Cow::Owned(elements.join("\n")))
        }
        _ => Ok(Cow::Borrowed(json)),
    }
}

/// The same JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            let keep = in_text || !c.is_ascii_whitespace();
            if c == '"' && !escaped {
                in_text = !in_text;
            }
            escaped = in_text && c == '\\' && !escaped;
            keep
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, json: &str, expected: &str) {
        let mut cells = Vec::new();
        let page = format!("[{json}]");
        Paths::new([path]).read(&page, |row| cells.push(row[0].to_string())).unwrap();
        assert_eq!(cells, [expected], "`{path}` in {json}");
    }

    #[test]
    fn values_keep_oktas_own_text() {
        check("id", r#"{"id":"00u1"}"#, "00u1");
        check("n", r#"{"n":12345678901234567890.10e5}"#, "12345678901234567890.10e5");
        check("b", r#"{"b": true }"#, "true");
        check("d", r#"{"d":null}"#, "");
        check("d", r#"{}"#, "");
        check("s", r#"{"s":"a\"b\\c\u00fc\n\ud83d\ude00"}"#, "a\"b\\cü\n😀");
        check("s", r#"{"s":""}"#, "");
    }

    #[test]
    fn arrays_are_sorted_and_objects_compact() {
        check("a", r#"{"a":["b","a","Ä","B"]}"#, "B\na\nb\nÄ");
        check("a", r#"{"a":[10, 9, true, null]}"#, "\n10\n9\ntrue");
        check("a", r#"{"a":[]}"#, "");
        check("a", r#"{"a":[[2, 1],{"z": 1}]}"#, "[2,1]\n{\"z\":1}");
        check("o", r#"{"o": { "z" : "a \" b" , "a" : [ 1 , 2 ] } }"#, r#"{"z":"a \" b","a":[1,2]}"#);
        check("o", r#"{"o":{"k\\":" \\"} }"#, r#"{"k\\":" \\"}"#);
    }

    #[test]
    fn paths_are_found_exactly_then_ignoring_case() {
        check("profile.city", r#"{"profile":{"city":"Lyon"}}"#, "Lyon");
        check("lastMemberShipUpdated", r#"{"lastMembershipUpdated":"x"}"#, "x");
        check("profile.City", r#"{"profile":{"City":"exact","city":"other"}}"#, "exact");
        check("profile.City", r#"{"profile":{"city":"other","City":"exact"}}"#, "exact");
        check("profile.city", r#"{"profile":["city"]}"#, "");
        check("profile.city", r#"{"profile":"city"}"#, "");
        check("profile.city", r#"{"profile":null}"#, "");
        check("profile.city", r#"{"\u0070rofile":{"city":"x"}}"#, "x");
    }

    #[test]
    fn a_value_may_be_wanted_whole_and_in_part_and_in_two_spellings() {
        let page = r#"[{"type":{"id":"oty1"}},{"type":null}]"#;
        let mut rows = Vec::new();
        Paths::new(["type", "type.id", "TYPE.id"])
            .read(page, |row| rows.push(row.iter().map(|cell| cell.to_string()).collect::<Vec<_>>()))
            .unwrap();
        assert_eq!(rows, [[r#"{"id":"oty1"}"#, "oty1", "oty1"], ["", "", ""]]);
    }

    #[test]
    fn what_is_no_array_of_objects_is_an_error() {
        for page in ["", "{}", "[1]", "[null]", r#"[{"id":"1"}"#, r#"[{"id":"1"}] x"#, "<html>", r#"[{"id":1,}]"#] {
            assert!(Paths::new(["id"]).read(page, |_| {}).is_err(), "{page}");
        }
    }

    #[test]
    fn deep_nesting_is_text_like_any_other() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let page = format!("[{{\"id\":{nested},\"other\":{nested}}}]");
        Paths::new(["id"]).read(&page, |row| assert_eq!(row[0].len(), nested.len() - 2)).unwrap();
    }
}
