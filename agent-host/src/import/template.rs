//! What a value is made of: text, and columns of the source in braces, such as `{First name} {Last name}`.
//!
//! `{Mail:lower}` and `{Mail:upper}` change the case; `{{` and `}}` are braces. What comes of it has no space around it.

/// A value to be made from a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column { place: usize, case: Case },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl Template {
    /// Reads a template; `place_of` gives a column's place in the records.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str, mut place_of: impl FnMut(&str) -> usize) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or(from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let inner = from.strip_prefix('{').ok_or("a `}` closes nothing; write `}}` for a brace")?;
            let (name, after) = inner.split_once('}').ok_or("a `{` is not closed; write `{{` for a brace")?;
            let (name, case) = match name.rsplit_once(':') {
                Some((name, "lower")) => (name, Case::Lower),
                Some((name, "upper")) => (name, Case::Upper),
                _ => (name, Case::Kept),
            };
            if name.trim().is_empty() || name.contains('{') {
                return Err("braces hold no column's name".to_owned());
            }
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Column { place: place_of(name.trim()), case });
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    /// The value for a record with these cells.
    pub(super) fn fill(&self, cells: &[String]) -> String {
        let mut value = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Column { place, case: Case::Kept } => value.push_str(cells[*place].trim()),
                Piece::Column { place, case: Case::Lower } => value.push_str(&cells[*place].trim().to_lowercase()),
                Piece::Column { place, case: Case::Upper } => value.push_str(&cells[*place].trim().to_uppercase()),
            }
        }
        value.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let names = ["First name", "Mail", "empty"];
        let template = Template::parse(text, |name| names.iter().position(|known| *known == name).unwrap())?;
        Ok(template.fill(&["Ada ".to_owned(), "Ada@Corp.example".to_owned(), String::new()]))
    }

    #[test]
    fn a_value_is_made_of_text_and_columns() {
        for (text, value) in [
            ("Employee", "Employee"),
            ("{First name}", "Ada"),
            ("{Mail:lower}", "ada@corp.example"),
            ("{ First name } ({Mail:upper})", "Ada (ADA@CORP.EXAMPLE)"),
            ("{{{First name}}}", "{Ada}"),
            ("{First name} {empty}", "Ada"),
        ] {
            assert_eq!(fill(text), Ok(value.to_owned()), "{text}");
        }
        for bad in ["{Mail", "Mail}", "{}", "{:lower}", "{a{b}"] {
            assert!(fill(bad).is_err(), "{bad}");
        }
    }
}
