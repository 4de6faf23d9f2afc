//! Makes up passwords: so many characters of each class at least, nothing of the person in it, the operating system's
//! randomness throughout.
//!
//! The length is the greater of the one wanted and the sum of the counts, as the vendor documents it; where all counts are
//! 0 there are lower case letters alone. What is more than the counts comes from all classes that have one.

use connector_api::Account;
use rand::{CryptoRng, Rng};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::strength::Strength;

/// Passwords that are tried before the settings are called impossible.
const MAX_ATTEMPTS: u32 = 2_000;
/// Shorter parts of a login or name may be in a password by accident; Okta's policy counts from four as well.
const MIN_PART: usize = 4;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// The vendor's default of `AllowedSymbolChars`.
pub(crate) const SYMBOLS: &str = "!;.,?()[]-_&%$+{}@";
/// What people take for one another when they type from paper or from another screen.
const LOOK_ALIKES: &str = "0Oo1lI|i5S2Z8B";

/// How passwords are made up.
#[derive(Debug, Clone)]
pub struct GenerationRule {
    /// The characters of a class and how many of them there are at least; no class is empty.
    classes: Vec<(Vec<char>, usize)>,
    length: usize,
}

/// Why no password can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Impossible(pub(crate) String);

/// What a rule is made of, as the settings have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) length: u32,
    pub(crate) lower: u32,
    pub(crate) upper: u32,
    pub(crate) digits: u32,
    pub(crate) symbols: u32,
}

impl GenerationRule {
    /// The rule for these counts.
    ///
    /// # Errors
    /// Where a class that must be there has no characters, or the password would be empty.
    pub(crate) fn new(counts: Counts, symbols: &str, without_look_alikes: bool) -> Result<Self, Impossible> {
        let only_lower = counts.lower + counts.upper + counts.digits + counts.symbols == 0;
        let lower = if only_lower { counts.length } else { counts.lower };
        let wanted = [(LOWER, lower), (UPPER, counts.upper), (DIGITS, counts.digits), (symbols, counts.symbols)];
        let mut classes = Vec::new();
        for (characters, count) in wanted {
            if count == 0 {
                continue;
            }
            let is_clear = |c: &char| !without_look_alikes || !LOOK_ALIKES.contains(*c);
            let mut characters: Vec<char> = characters.chars().filter(is_clear).collect();
            characters.sort_unstable();
            characters.dedup();
            if characters.is_empty() {
                return Err(Impossible("no symbol is left of `AllowedSymbolChars`".to_owned()));
            }
            classes.push((characters, count as usize));
        }
        let length = classes.iter().map(|(_, count)| count).sum::<usize>().max(counts.length as usize);
        if classes.is_empty() {
            return Err(Impossible("the password would be empty".to_owned()));
        }
        Ok(Self { classes, length })
    }

    /// A password for the account that passes `strength`.
    ///
    /// # Errors
    /// Where none of many does.
    pub(crate) fn generate(
        &self,
        account: &Account,
        strength: &Strength,
        random: &mut impl CryptoRng,
    ) -> Result<SecretString, Impossible> {
        let parts = parts_of(account);
        for _ in 0..MAX_ATTEMPTS {
            let password = self.attempt(random);
            if !holds_part(&password, &parts) && strength.broken_by(&password).is_none() {
                // As long as it is wide, so that the text moves without a copy.
                let mut text = String::with_capacity(password.len());
                text.push_str(&password);
                return Ok(SecretString::from(text));
            }
        }
        let why = format!(
            "none of {MAX_ATTEMPTS} passwords of these counts passes `StrengthCheck` and is free of the account's names"
        );
        Err(Impossible(why))
    }

    fn attempt(&self, random: &mut impl Rng) -> Zeroizing<String> {
        let mut characters = Zeroizing::new(Vec::with_capacity(self.length));
        for (class, count) in &self.classes {
            characters.extend((0..*count).map(|_| class[below(class.len(), random)]));
        }
        let sizes: usize = self.classes.iter().map(|(class, _)| class.len()).sum();
        while characters.len() < self.length {
            let mut place = below(sizes, random);
            let class = self.classes.iter().find_map(|(class, _)| match class.get(place) {
                Some(character) => Some(*character),
                None => {
                    place -= class.len();
                    None
                }
            });
            characters.extend(class);
        }
        // Fisher and Yates: every order is as likely as any other.
        for last in (1..characters.len()).rev() {
            let other = below(last + 1, random);
            characters.swap(last, other);
        }
        let mut password = Zeroizing::new(String::with_capacity(self.length * 4));
        password.extend(characters.iter());
        password
    }
}

/// Whether a password holds a part of the account's login or of its owner's name.
pub(crate) fn names_account(password: &str, account: &Account) -> bool {
    holds_part(password, &parts_of(account))
}

fn holds_part(password: &str, parts: &[String]) -> bool {
    let lower = Zeroizing::new(password.to_lowercase());
    parts.iter().any(|part| lower.contains(part))
}

fn parts_of(account: &Account) -> Vec<String> {
    let texts = [&account.login, &account.first_name, &account.last_name];
    let parts = texts.into_iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    parts.filter(|part| part.chars().count() >= MIN_PART).map(str::to_lowercase).collect()
}

/// A number below `end`, each as likely as any other: numbers of the last, shorter stretch are thrown away.
fn below(end: usize, random: &mut impl Rng) -> usize {
    let end = end as u64;
    let whole = u64::MAX - u64::MAX % end;
    loop {
        let number = random.next_u64();
        if number < whole {
            return (number % end) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};
    use secrecy::ExposeSecret;

    use super::*;

    fn account() -> Account {
        let mut account = Account::new("00u1", "ada.lovelace@example.com");
        account.first_name = "Ada".to_owned();
        account.last_name = "King Lovelace".to_owned();
        account
    }

    fn counts(length: u32, each: [u32; 4]) -> Counts {
        let [lower, upper, digits, symbols] = each;
        Counts { length, lower, upper, digits, symbols }
    }

    proptest! {
        #[test]
        fn every_password_keeps_the_counts_the_length_and_its_distance_from_the_person(
            length in 0_u32..80, each in prop::array::uniform4(0_u32..9), clear: bool,
        ) {
            prop_assume!(length + each.iter().sum::<u32>() > 0);
            let rule = GenerationRule::new(counts(length, each), SYMBOLS, clear).unwrap();
            let password = rule.generate(&account(), &Strength::default(), &mut UnwrapErr(SysRng)).unwrap();
            let password = password.expose_secret();
            let count = |class: &str| password.chars().filter(|c| class.contains(*c)).count() as u32;
            let found = [count(LOWER), count(UPPER), count(DIGITS), count(SYMBOLS)];
            prop_assert_eq!(found.iter().sum::<u32>(), length.max(each.iter().sum()), "{}", password);
            for (found, least) in found.iter().zip(each) {
                prop_assert!(*found >= least, "{}", password);
                let foreign = least == 0 && *found > 0 && each.iter().sum::<u32>() > 0;
                prop_assert!(!foreign, "a class without a count stays out: {}", password);
            }
            prop_assert!(!clear || count(LOOK_ALIKES) == 0, "{}", password);
            prop_assert!(!names_account(password, &account()), "{}", password);
        }
    }

    #[test]
    fn impossible_rules_are_refused() {
        let rule = |counts, symbols| GenerationRule::new(counts, symbols, false).map_err(|why| why.0);
        assert_eq!(rule(counts(0, [0; 4]), SYMBOLS).unwrap_err(), "the password would be empty");
        assert_eq!(rule(counts(8, [1, 0, 0, 1]), "").unwrap_err(), "no symbol is left of `AllowedSymbolChars`");
        let narrow = rule(counts(8, [8, 0, 0, 0]), SYMBOLS).unwrap();
        let digits = Strength::parse(&["^.*[0-9].*$".to_owned()]).unwrap();
        let why = narrow.generate(&account(), &digits, &mut UnwrapErr(SysRng)).unwrap_err();
        assert!(why.0.starts_with("none of 2000 passwords"), "{why:?}");
    }

    #[test]
    fn strength_checks_are_met() {
        let strength = Strength::parse(&["^(?=.*[0-9]).{12,}$".to_owned(), "^[^!]*$".to_owned()]).unwrap();
        let rule = GenerationRule::new(counts(12, [6, 2, 2, 2]), SYMBOLS, false).unwrap();
        for _ in 0..200 {
            let password = rule.generate(&account(), &strength, &mut UnwrapErr(SysRng)).unwrap();
            assert!(!password.expose_secret().contains('!'));
        }
    }

    #[test]
    fn parts_of_four_letters_count_whatever_their_case() {
        for (password, names) in [("xLOVElace9", true), ("xkINGdom9", true), ("adaX9", false), ("exAMPLE", true)] {
            assert_eq!(names_account(password, &account()), names, "{password}");
        }
    }

    #[test]
    fn numbers_below_are_even() {
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[below(7, &mut UnwrapErr(SysRng))] += 1;
        }
        // Eight standard deviations.
        assert!(seen.iter().all(|count| count.abs_diff(10_000) < 750), "{seen:?}");
    }
}
