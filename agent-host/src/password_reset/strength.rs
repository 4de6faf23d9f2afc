//! `StrengthCheck`: the regular expressions that every password must match, and what they ask for in words.
//!
//! They are .NET's. Nearly all that people write for passwords means the same here, looking ahead and behind included;
//! what only .NET knows is refused when the agent starts, with the reason.

use fancy_regex::{Regex, RegexBuilder};

/// Steps back that one expression may take on one password; one that needs more does not match.
const MAX_BACKTRACKS: usize = 200_000;

/// The expressions of one setting.
#[derive(Debug, Clone, Default)]
pub struct Strength {
    expressions: Vec<Regex>,
}

/// What an expression asks for, as far as it has a common form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    Length(usize),
    Lower,
    Upper,
    Digit,
    Symbol,
    /// Something that only the expression itself says.
    Other,
}

impl Strength {
    /// # Errors
    /// The expression that cannot be used and why.
    pub(crate) fn parse(expressions: &[String]) -> Result<Self, (String, String)> {
        let parse = |text: &String| {
            let built = RegexBuilder::new(text).backtrack_limit(MAX_BACKTRACKS).build();
            built.map_err(|error| (text.clone(), in_words(text, &error)))
        };
        Ok(Self { expressions: expressions.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The first expression that the password does not match.
    pub(crate) fn broken_by(&self, password: &str) -> Option<Demand> {
        let broken = self.expressions.iter().find(|expression| !expression.is_match(password).unwrap_or(false));
        broken.map(|expression| demand(expression.as_str()))
    }

    /// What all expressions ask for together.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        let mut demands: Vec<Demand> = self.expressions.iter().map(|expression| demand(expression.as_str())).collect();
        demands.sort_unstable();
        demands.dedup();
        demands
    }
}

/// What an expression of a common form asks for: `^.*[0-9].*$`, `^..........*$`, `^.{8,}$`.
fn demand(expression: &str) -> Demand {
    let inner = expression.strip_prefix('^').unwrap_or(expression);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    if let Some(least) = inner.strip_prefix(".{").and_then(|rest| rest.strip_suffix(",}")).and_then(|n| n.parse().ok())
    {
        return Demand::Length(least);
    }
    if let Some(dots) = inner.strip_suffix(".*").filter(|dots| !dots.is_empty() && dots.chars().all(|c| c == '.')) {
        return Demand::Length(dots.len());
    }
    match inner.strip_prefix(".*").unwrap_or(inner).strip_suffix(".*").unwrap_or(inner) {
        "[0-9]" | "\\d" => Demand::Digit,
        "[a-z]" => Demand::Lower,
        "[A-Z]" => Demand::Upper,
        "[^a-zA-Z0-9]" | "[^A-Za-z0-9]" | "[\\W_]" | "\\W" => Demand::Symbol,
        class if is_class_of_symbols(class) => Demand::Symbol,
        _ => Demand::Other,
    }
}

fn is_class_of_symbols(class: &str) -> bool {
    let inner = class.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
    !inner.is_empty() && !inner.starts_with('^') && inner.chars().all(|c| c.is_ascii_punctuation())
}

fn in_words(text: &str, error: &fancy_regex::Error) -> String {
    let dotnet = [
        ("(?<-", "balancing groups are .NET's alone"),
        ("\\p{Is", "Unicode blocks (`\\p{Is…}`) are .NET's alone; name a script such as `\\p{Greek}`"),
        ("-[", "subtracting a class from a class is .NET's alone"),
    ];
    let known = dotnet.iter().find(|(mark, _)| text.contains(mark)).map(|(_, why)| (*why).to_owned());
    known.unwrap_or_else(|| error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_forms_are_told_in_words() {
        for (expression, expected) in [
            ("^..........*$", Demand::Length(9)),
            ("^.{8,}$", Demand::Length(8)),
            ("^.*[0-9].*$", Demand::Digit),
            ("\\d", Demand::Digit),
            ("^.*[a-z].*$", Demand::Lower),
            ("[A-Z]", Demand::Upper),
            ("^.*[!;.?].*$", Demand::Symbol),
            ("^.*[^a-zA-Z0-9].*$", Demand::Symbol),
            ("^(?!.*(.)\\1\\1).*$", Demand::Other),
            ("^[A-Z].*$", Demand::Other),
        ] {
            assert_eq!(demand(expression), expected, "{expression}");
        }
    }

    #[test]
    fn expressions_are_dotnets_as_far_as_people_use_them() {
        let strength = Strength::parse(&["^(?=.*[a-z])(?=.*[0-9])(?!.*(.)\\1\\1).{8,}$".to_owned()]).unwrap();
        for (password, broken) in [("abcdefg1", false), ("abcdefgh", true), ("aaabcdefg1", true), ("a1", true)] {
            assert_eq!(strength.broken_by(password).is_some(), broken, "{password}");
        }
    }

    #[test]
    fn what_only_dotnet_knows_is_refused_with_the_reason() {
        for (text, why) in [
            ("(?<open>\\()(?<-open>\\))", "balancing groups"),
            ("\\p{IsGreek}", "Unicode blocks"),
            ("[a-z", "Parsing error"),
        ] {
            let (expression, reason) = Strength::parse(&[text.to_owned()]).unwrap_err();
            assert!(expression == text && reason.contains(why), "{reason}");
        }
    }

    #[test]
    fn an_expression_that_takes_for_ever_does_not_match() {
        let strength = Strength::parse(&["^(?:(a+)+)(?!b)\\1c$".to_owned()]).unwrap();
        assert!(strength.broken_by(&"a".repeat(200)).is_some());
    }
}
