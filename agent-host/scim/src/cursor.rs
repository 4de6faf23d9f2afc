//! Cursors: `u17` is behind the user of sequence 17, `g0` before the first group, and `s20` behind twenty of a sorted list.
//!
//! One that this search cannot have given is refused (RFC 9865 §2.1), since a client would take an empty page for the end.

use crate::{
    error::{Error, ErrorKind, Result},
    resource::Kind,
};

/// Behind the resource of this sequence.
pub(crate) fn behind(kind: Kind, sequence: u64) -> String {
    format!("{}{sequence}", letter(kind))
}

/// Behind so many of a sorted list.
pub(crate) fn behind_sorted(count: u64) -> String {
    format!("s{count}")
}

/// Where a search of these kinds goes on: the kind, and the sequence that is behind it. Errors: `invalidCursor`.
pub(crate) fn read(cursor: &str, searched: &[Kind]) -> Result<(Kind, u64)> {
    if cursor.is_empty() {
        return Ok((Kind::User, 0));
    }
    let found = searched.iter().find_map(|kind| Some((*kind, cursor.strip_prefix(letter(*kind))?)));
    let (kind, sequence) = found.ok_or_else(unknown)?;
    Ok((kind, number(sequence)?))
}

/// How many of a sorted list are behind it. Errors: `invalidCursor`.
pub(crate) fn read_sorted(cursor: &str) -> Result<u64> {
    match cursor {
        "" => Ok(0),
        _ => number(cursor.strip_prefix('s').ok_or_else(unknown)?),
    }
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::User => 'u',
        Kind::Group => 'g',
    }
}

/// As it was written: other texts, such as `+1`, are numbers too.
fn number(text: &str) -> Result<u64> {
    let number = text.parse::<u64>().map_err(|_| unknown())?;
    if number.to_string() == text { Ok(number) } else { Err(unknown()) }
}

fn unknown() -> Error {
    let detail = "`cursor` is none that this search gave; begin again with an empty one";
    Error::of(ErrorKind::InvalidCursor, detail)
}
