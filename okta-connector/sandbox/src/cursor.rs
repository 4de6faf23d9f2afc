//! Opaque cursors: the row a page starts at, scrambled and bound to the query it belongs to.
//! A cursor of another list, or an edited one, does not read back. Okta: 400 `E0000029`, "Invalid cursor."

use crate::ids::{parse_base62, push_base62};

const PREFIX: &str = "200u";
const WIDTH: usize = 11;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub row: u64,
    /// Makes two cursors to the same row look different.
    pub salt: u8,
}

impl Cursor {
    pub(crate) fn text(&self, binding: u64) -> String {
        let key = mix(binding ^ u64::from(self.salt));
        let mut text = String::from(PREFIX);
        push_base62(&mut text, u64::from(self.salt), 1);
        push_base62(&mut text, self.row ^ key, WIDTH);
        push_base62(&mut text, mix(self.row ^ key.rotate_left(17)), WIDTH);
        text
    }

    pub(crate) fn parse(text: &str, binding: u64) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let salt = u8::try_from(parse_base62(text.get(..1)?)?).ok()?;
        let cursor = Self { row: parse_base62(text.get(1..=WIDTH)?)? ^ mix(binding ^ u64::from(salt)), salt };
        (cursor.text(binding).strip_prefix(PREFIX) == Some(text)).then_some(cursor)
    }
}

fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    (z ^ (z >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d) ^ (z >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_only_its_own() {
        for row in [0, 1, 200, u64::from(u32::MAX)] {
            let text = Cursor { row, salt: 3 }.text(42);
            assert_eq!(Cursor::parse(&text, 42), Some(Cursor { row, salt: 3 }));
            assert_eq!(Cursor::parse(&text, 43), None);
            assert_eq!(Cursor::parse(&text[..text.len() - 1], 42), None);
        }
        assert_eq!(Cursor::parse("00u1testcursorvalue", 42), None);
        assert_ne!(Cursor { row: 7, salt: 0 }.text(1), Cursor { row: 7, salt: 1 }.text(1));
    }
}
