//! How logins are compared. Okta: they are unique, and looked up, whatever their case and accents.
//! Knows the accents of Latin letters; other scripts compare by lower case alone.

/// A login as it is compared: lower case, Latin letters without their accents.
pub(crate) fn fold(login: &str) -> String {
    login.to_lowercase().chars().map(plain).collect()
}

fn plain(letter: char) -> char {
    const PLAIN: [(&str, char); 15] = [
        ("àáâãäåāăą", 'a'),
        ("çćĉċč", 'c'),
        ("ďđ", 'd'),
        ("èéêëēĕėęě", 'e'),
        ("ĝğġģ", 'g'),
        ("ìíîïĩīĭįı", 'i'),
        ("ĺļľł", 'l'),
        ("ñńņň", 'n'),
        ("òóôõöøōŏő", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşš", 's'),
        ("ţťŧ", 't'),
        ("ùúûüũūŭůűų", 'u'),
        ("ýÿŷ", 'y'),
        ("źżž", 'z'),
    ];
    if letter.is_ascii() {
        return letter;
    }
    PLAIN.iter().find(|(letters, _)| letters.contains(letter)).map_or(letter, |(_, plain)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_matter() {
        assert_eq!(fold("JÜRGEN.Łuç@Example.com"), "jurgen.luc@example.com");
        assert_eq!(fold("明@example.com"), "明@example.com");
    }
}
