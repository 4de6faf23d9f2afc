//! Slices of JSON text, and Okta's `fields=` projection over it.
//! Objects are stored serialised once; a page is put together from slices and never parsed.
//! Works on the compact JSON this crate writes itself, not on any JSON (no white space between tokens).

/// The members of a JSON object, key and value as they stand in the text.
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

/// The names a request wants: `id,status,profile:(city,department)`. Okta: `fields`, generally available since 2025.09.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Option<Fields>)>);

pub(crate) fn members(object: &str) -> Members<'_> {
    Members { text: object, at: 1 }
}

/// The elements of a JSON array.
pub(crate) fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut at = 1;
    std::iter::from_fn(move || {
        if at + 1 >= array.len() {
            return None;
        }
        let end = end_of_value(array.as_bytes(), at);
        let element = &array[at..end];
        at = end + 1;
        Some(element)
    })
}

/// The value of one member.
pub(crate) fn get<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    members(object).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The text of a JSON string, borrowed when nothing in it is escaped.
pub(crate) fn text(value: &str) -> std::borrow::Cow<'_, str> {
    let inner = value.trim_matches('"');
    if inner.contains('\\') || value.len() != inner.len() + 2 {
        return serde_json::from_str::<String>(value).unwrap_or_default().into();
    }
    inner.into()
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("a string always serialises"));
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        let key_end = end_of_string(bytes, self.at);
        let value_end = end_of_value(bytes, key_end + 1);
        let found = (&self.text[self.at + 1..key_end - 1], &self.text[key_end + 1..value_end]);
        self.at = value_end + 1;
        Some(found)
    }
}

impl Fields {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let fields = Self::parse_level(&mut rest)?;
        rest.is_empty().then_some(fields)
    }

    /// Appends the wanted members of `object`; the top level always keeps `id`.
    pub(crate) fn push(&self, object: &str, out: &mut String) {
        self.push_level(object, true, out);
    }

    fn push_level(&self, object: &str, top: bool, out: &mut String) {
        out.push('{');
        let mut first = true;
        for (key, value) in members(object) {
            let wanted = self.0.iter().find(|(name, _)| name == key).map(|(_, inner)| inner.as_ref());
            let inner = match wanted {
                Some(inner) => inner,
                None if top && key == "id" => None,
                None => continue,
            };
            if !first {
                out.push(',');
            }
            first = false;
            out.push('"');
            out.push_str(key);
            out.push_str("\":");
            match inner {
                Some(inner) if value.starts_with('{') => inner.push_level(value, false, out),
                _ => out.push_str(value),
            }
        }
        out.push('}');
    }

    fn parse_level(rest: &mut &str) -> Option<Self> {
        let mut names: Vec<(String, Option<Self>)> = Vec::new();
        loop {
            let end = rest.find([',', ':', '(', ')']).unwrap_or(rest.len());
            let name = rest[..end].trim().to_owned();
            if name.is_empty() {
                return None;
            }
            *rest = &rest[end..];
            let mut inner = None;
            if let Some(after) = rest.strip_prefix(":(") {
                *rest = after;
                inner = Some(Self::parse_level(rest)?);
                *rest = rest.strip_prefix(')')?;
            }
            if names.iter().all(|(known, _)| *known != name) {
                names.push((name, inner));
            }
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Some(Self(names)),
            }
        }
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_value(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => end_of_string(bytes, start),
        Some(b'{' | b'[') => {
            let (mut at, mut depth) = (start, 0_usize);
            while at < bytes.len() {
                match bytes[at] {
                    b'"' => {
                        at = end_of_string(bytes, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            at
        }
        _ => bytes[start..].iter().position(|b| matches!(b, b',' | b'}' | b']')).map_or(bytes.len(), |n| start + n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = r#"{"id":"00u1","activated":null,"type":{"id":"oty1"},"profile":{"city":"a\"},{","tags":["x,","}"],"n":1.50},"_links":{}}"#;

    #[test]
    fn walks_members_whatever_their_values_hold() {
        let names: Vec<_> = members(USER).map(|(key, _)| key).collect();
        assert_eq!(names, ["id", "activated", "type", "profile", "_links"]);
        let profile = get(USER, "profile").unwrap();
        assert_eq!(text(get(profile, "city").unwrap()), "a\"},{");
        assert_eq!(get(profile, "n"), Some("1.50"));
        assert_eq!(get("{}", "id"), None);
        assert_eq!(elements(get(profile, "tags").unwrap()).collect::<Vec<_>>(), [r#""x,""#, r#""}""#]);
        assert_eq!(elements("[]").count(), 0);
    }

    #[test]
    fn projects_nested_names_and_keeps_the_id() {
        let fields = Fields::parse("activated,profile:(n,city,n,nowhere)").unwrap();
        let mut out = String::new();
        fields.push(USER, &mut out);
        assert_eq!(out, r#"{"id":"00u1","activated":null,"profile":{"city":"a\"},{","n":1.50}}"#);
        assert_eq!(Fields::parse("profile:(city"), None);
        assert_eq!(Fields::parse("id,,status"), None);
    }
}
