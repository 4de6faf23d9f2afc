//! Identifiers as Okta makes them (20 characters of base 62 behind a prefix of the kind) and the dice of the seed.
//! Ids rise with creation and differ in case alone now and then, as real ones do: a reader must not fold case.
//! The dice are splitmix64: the same seed gives the same organisation on every machine.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Where the counters start: ids then look like those of an organisation some years old.
const FIRST: u64 = 62_u64.pow(10) * 20 + 345_678_901_234_567_890;

#[derive(Debug)]
pub(crate) struct Ids {
    counter: u64,
    dice: Dice,
}

#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { counter: 0, dice: Dice::new(seed ^ 0x5eed) }
    }

    /// The next id of a kind: `00u`, `00g`, `0oa`, …
    pub(crate) fn next(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let mut id = String::with_capacity(20);
        id.push_str(prefix);
        push_base62(&mut id, FIRST + self.counter, 11);
        id.push_str("kQx5d7");
        id
    }

    /// Letters and digits that mean nothing: error ids, activation tokens, temporary passwords.
    pub(crate) fn word(&mut self, length: usize) -> String {
        self.dice.word(length)
    }
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (at least 1).
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from((u128::from(self.roll()) * u128::from(bound)) >> 64).expect("less than a u32")
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(u32::try_from(from.len()).expect("a short list")) as usize]
    }

    pub(crate) fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(DIGITS[self.below(62) as usize])).collect()
    }
}

pub(crate) fn push_base62(out: &mut String, mut value: u64, width: usize) {
    let mut digits = [b'0'; 16];
    for digit in digits[..width].iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    out.extend(digits[..width].iter().map(|digit| char::from(*digit)));
}

pub(crate) fn parse_base62(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |value, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        value.checked_mul(62)?.checked_add(digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_rise_and_have_twenty_characters() {
        let mut ids = Ids::new(1);
        let made: Vec<_> = (0..1000).map(|_| ids.next("00u")).collect();
        assert!(made.is_sorted() && made.iter().all(|id| id.len() == 20 && id.starts_with("00u")));
        let folded: std::collections::BTreeSet<_> = made.iter().map(|id| id.to_lowercase()).collect();
        assert!(folded.len() < made.len(), "some ids differ in case alone");
    }

    #[test]
    fn base62_reads_back() {
        let mut text = String::new();
        push_base62(&mut text, 123_456_789_012, 11);
        assert_eq!(parse_base62(&text), Some(123_456_789_012));
        assert_eq!(parse_base62("!"), None);
    }
}
