//! Okta's expression language for `search` and `filter`: `eq gt ge lt le sw co pr`, `and`, `or`, parentheses.
//! Parses once per request and tests one record at a time; what a record has is asked through [`Record`].
//! Okta: operators, `true`/`false` and (in `search`) values ignore case, property names do not; there is no `not` or `ne`.

use crate::{clock, raw};

/// Something an expression can be put to.
pub(crate) trait Record {
    /// Calls `test` with each value of `property` until one passes; an absent or null property has none.
    fn any(&self, property: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Atom<'a> {
    Text(&'a str),
    Time(i64),
    Number(f64),
    Flag(bool),
}

#[derive(Debug)]
pub(crate) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Test { property: String, operator: Operator, value: Value, fold: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Gt,
    Ge,
    Lt,
    Le,
    Sw,
    Co,
    Pr,
}

#[derive(Debug, Default)]
pub(crate) struct Value {
    text: String,
    time: Option<i64>,
    number: Option<f64>,
}

/// Which properties and operators an endpoint knows, and whether values ignore case.
pub(crate) struct Grammar {
    pub fold: bool,
    pub allows: fn(&str, Operator) -> bool,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Open,
    Close,
}

/// The expression, or `None` where Okta says "Invalid search criteria".
pub(crate) fn parse(text: &str, grammar: &Grammar) -> Option<Expression> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, grammar };
    let expression = parser.either()?;
    (parser.at == parser.tokens.len()).then_some(expression)
}

/// Puts `test` to whatever stands at a dotted path of JSON text; arrays are walked through.
pub(crate) fn any_at(json: &str, path: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool {
    if json.starts_with('[') {
        return raw::elements(json).any(|element| any_at(element, path, test));
    }
    if !path.is_empty() {
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        return json.starts_with('{') && raw::get(json, head).is_some_and(|value| any_at(value, rest, test));
    }
    match json.as_bytes().first() {
        Some(b'"') => test(Atom::Text(&raw::text(json))),
        Some(b't') => test(Atom::Flag(true)),
        Some(b'f') => test(Atom::Flag(false)),
        Some(b'{') => test(Atom::Text(json)),
        Some(b'n') | None => false,
        Some(_) => json.parse().is_ok_and(|number| test(Atom::Number(number))),
    }
}

impl Expression {
    pub(crate) fn matches(&self, record: &dyn Record) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Test { property, operator, value, fold } => {
                record.any(property, &mut |atom| operator.holds(atom, value, *fold))
            }
        }
    }

    /// The value of a lone `property eq "value"`, as the apps list wants it.
    pub(crate) fn equality(&self) -> Option<(&str, &str)> {
        match self {
            Self::Test { property, operator: Operator::Eq, value, .. } => Some((property, &value.text)),
            _ => None,
        }
    }
}

impl Operator {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "eq" => Self::Eq,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "sw" => Self::Sw,
            "co" => Self::Co,
            "pr" => Self::Pr,
            _ => return None,
        })
    }

    fn holds(self, atom: Atom<'_>, value: &Value, fold: bool) -> bool {
        match atom {
            _ if self == Self::Pr => true,
            Atom::Text(text) if fold => self.holds_text(&text.to_lowercase(), &value.text.to_lowercase()),
            Atom::Text(text) => self.holds_text(text, &value.text),
            Atom::Time(at) => value.time.is_some_and(|wanted| self.orders(at.cmp(&wanted))),
            Atom::Number(number) => {
                value.number.and_then(|wanted| number.partial_cmp(&wanted)).is_some_and(|order| self.orders(order))
            }
            Atom::Flag(flag) => {
                self == Self::Eq && value.text.eq_ignore_ascii_case(if flag { "true" } else { "false" })
            }
        }
    }

    fn holds_text(self, text: &str, wanted: &str) -> bool {
        match self {
            Self::Sw => text.starts_with(wanted),
            Self::Co => text.contains(wanted),
            _ => self.orders(text.cmp(wanted)),
        }
    }

    fn orders(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Sw | Self::Co | Self::Pr => false,
        }
    }
}

struct Parser<'g> {
    tokens: Vec<Token>,
    at: usize,
    grammar: &'g Grammar,
}

impl Parser<'_> {
    fn either(&mut self) -> Option<Expression> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn both(&mut self) -> Option<Expression> {
        let mut parts = vec![self.one()?];
        while self.takes_word("and") {
            parts.push(self.one()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self) -> Option<Expression> {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.either()?;
            self.at += 1;
            return (self.tokens.get(self.at - 1) == Some(&Token::Close)).then_some(inner);
        }
        let (Token::Word(property), Token::Word(operator)) = (self.tokens.get(self.at)?, self.tokens.get(self.at + 1)?)
        else {
            return None;
        };
        let (property, operator) = (property.clone(), Operator::parse(operator)?);
        self.at += 2;
        let mut value = Value::default();
        if operator != Operator::Pr {
            value = match self.tokens.get(self.at)? {
                Token::Quoted(text) => {
                    Value { text: text.clone(), time: clock::parse(text), number: text.parse().ok() }
                }
                Token::Word(word) if matches!(word.to_ascii_lowercase().as_str(), "true" | "false") => {
                    Value { text: word.clone(), ..Value::default() }
                }
                Token::Word(word) => Value { text: word.clone(), time: None, number: Some(word.parse().ok()?) },
                Token::Open | Token::Close => return None,
            };
            self.at += 1;
        }
        (self.grammar.allows)(&property, operator).then_some(Expression::Test {
            property,
            operator,
            value,
            fold: self.grammar.fold,
        })
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => quoted.push(chars.next()?),
                        other => quoted.push(other),
                    }
                }
                tokens.push(Token::Quoted(quoted));
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"')) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Person;

    impl Record for Person {
        fn any(&self, property: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool {
            match property {
                "status" => test(Atom::Text("ACTIVE")),
                "profile.lastName" => test(Atom::Text("O\"Neil")),
                "profile.tags" => test(Atom::Text("red")) || test(Atom::Text("Blue")),
                "lastUpdated" => test(Atom::Time(1_759_117_127_000)),
                "profile.level" => test(Atom::Number(3.0)),
                "profile.contractor" => test(Atom::Flag(true)),
                _ => false,
            }
        }
    }

    const ANY: Grammar = Grammar { fold: true, allows: |_, _| true };

    fn holds(text: &str) -> bool {
        parse(text, &ANY).unwrap().matches(&Person)
    }

    #[test]
    fn evaluates_operators_types_and_precedence() {
        assert!(holds(r#"status eq "active""#));
        assert!(holds(r#"profile.lastName eq "o\"neil""#));
        assert!(holds(r#"profile.tags eq "blue" and status pr"#));
        assert!(holds(r#"lastUpdated ge "2025-09-29T03:38:47.000Z" AND lastUpdated lt "2025-09-30T00:00:00Z""#));
        assert!(holds(r#"profile.level gt 2 and profile.contractor eq true"#));
        assert!(holds(r#"status eq "x" or status sw "AC" and profile.lastName co "nei""#));
        assert!(!holds(r#"(status eq "x" or status sw "AC") and profile.lastName co "zz""#));
        assert!(!holds("activated pr"));
    }

    #[test]
    fn refuses_what_okta_refuses() {
        for text in
            ["", "status", "status eq", r#"status ne "x""#, r#"not status eq "x""#, r#"(status pr"#, "status pr pr"]
        {
            assert!(parse(text, &ANY).is_none(), "{text}");
        }
        let only_status = Grammar { fold: false, allows: |property, _| property == "status" };
        assert!(parse("lastLogin pr", &only_status).is_none());
        assert!(!parse(r#"status eq "active""#, &only_status).unwrap().matches(&Person));
    }
}
