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
    expressions: Vec<(Regex, Demand)>,
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
        let parse = |text: &String| -> Result<(Regex, Demand), (String, String)> {
            let translated = translated(text).map_err(|why| (text.clone(), why.to_owned()))?;
            let built = RegexBuilder::new(&translated).backtrack_limit(MAX_BACKTRACKS).build();
            let one_line = |why: String| why.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let built = built.map_err(|error| (text.clone(), one_line(error.to_string())))?;
            Ok((built, demand(text)))
        };
        Ok(Self { expressions: expressions.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The first expression that the password does not match.
    pub(crate) fn broken_by(&self, password: &str) -> Option<Demand> {
        let broken = self.expressions.iter().find(|(expression, _)| !expression.is_match(password).unwrap_or(false));
        broken.map(|(_, demand)| *demand)
    }

    /// What all expressions ask for together.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        let mut demands: Vec<Demand> = self.expressions.iter().map(|(_, demand)| *demand).collect();
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
    // Anchored, a class speaks of the first or the last character alone, unless anything may stand around it.
    let opened = if expression.starts_with('^') { inner.strip_prefix(".*") } else { Some(inner) };
    let closed = opened.and_then(|rest| if expression.ends_with('$') { rest.strip_suffix(".*") } else { Some(rest) });
    match closed.unwrap_or_default() {
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

/// The expression as it is written here. In a class of .NET's `[`, `&`, `~` and `-` are mostly themselves, where ours
/// would begin another class or join two.
///
/// # Errors
/// What only .NET knows.
fn translated(text: &str) -> Result<String, &'static str> {
    let mut translated = String::with_capacity(text.len() + 8);
    let (mut in_class, mut at_start) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        let opens = c == '[' && !in_class;
        match c {
            '\\' => {
                translated.push(c);
                let escaped = characters.next();
                if matches!(escaped, Some('p' | 'P')) && characters.clone().take(3).eq("{Is".chars()) {
                    return Err("Unicode blocks (`\\p{Is…}`) are .NET's alone; name a script such as `\\p{Greek}`");
                }
                translated.extend(escaped);
                at_start = false;
                continue;
            }
            '[' if opens => in_class = true,
            '^' if at_start => {
                translated.push(c);
                continue;
            }
            ']' if in_class && at_start => translated.push('\\'),
            ']' if in_class => in_class = false,
            '-' if in_class && next == Some('[') => return Err("taking a class out of a class is .NET's alone"),
            '[' | '&' | '~' => translated.push_str(if in_class { "\\" } else { "" }),
            '-' if in_class && translated.ends_with('-') => translated.push('\\'),
            '(' if characters.clone().take(3).eq("?<-".chars()) => return Err("balancing groups are .NET's alone"),
            '(' if is_balancing(characters.clone()) => return Err("balancing groups are .NET's alone"),
            _ => {}
        }
        at_start = opens;
        translated.push(c);
    }
    Ok(translated)
}

/// Whether what follows an opening bracket is `?<a-b>`.
fn is_balancing(mut rest: impl Iterator<Item = char>) -> bool {
    if rest.next() != Some('?') || rest.next() != Some('<') {
        return false;
    }
    let name: String = rest.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect();
    name.contains('-')
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
            ("(?<open-close>\\))", "balancing groups"),
            ("[a-z-[aeiou]]", "taking a class out"),
            ("\\p{IsGreek}", "Unicode blocks"),
            ("[a-z", "Parsing error"),
        ] {
            let (expression, reason) = Strength::parse(&[text.to_owned()]).unwrap_err();
            assert!(expression == text && reason.contains(why), "{reason}");
        }
    }

    #[test]
    fn classes_hold_what_they_hold_in_dotnet() {
        for (text, good, bad) in [
            ("[[]", "a[", "a]"),
            ("[&&a]", "&", "b"),
            ("[]a]", "]", "b"),
            ("[^]a]", "b", "]"),
            ("[!@#$%^&*()_+\\-=\\[\\]{};':\"\\\\|,.<>\\/?~`]", "x~", "abc1"),
            ("(?<=a)b", "ab", "b"),
        ] {
            let strength = Strength::parse(&[text.to_owned()]).unwrap();
            assert_eq!((strength.broken_by(good), strength.broken_by(bad).is_some()), (None, true), "{text}");
        }
    }

    #[test]
    fn an_expression_that_takes_for_ever_does_not_match() {
        let strength = Strength::parse(&["^(?:(a+)+)(?!b)\\1c$".to_owned()]).unwrap();
        assert!(strength.broken_by(&"a".repeat(200)).is_some());
    }
}
