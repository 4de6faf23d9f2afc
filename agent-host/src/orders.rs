//! Provisioning orders as files: found one by one, read, and put into the tables and columns of a connection.
//!
//! A file is gone through and never held; an order is at most a mebibyte. A file that is no JSON is unreadable as a
//! whole; an order that cannot be understood stands alone, and the others go on.
//! Source: the vendor's pages on writing fulfilment scripts, for the shape of an order.

pub(crate) mod folder;
mod resolve;
mod scanner;
mod text;
mod vocabulary;

pub use resolve::{Resolved, WantedPassword};
pub(crate) use scanner::{Found, MAX_ORDER_BYTES, Place, Scanner, Unreadable};
pub(crate) use text::Head;
pub use vocabulary::Vocabulary;

use text::OrderText;

/// An order as far as it could be read: what names it, and what it asks for or why that is not known.
#[derive(Debug)]
pub(crate) struct ReadOrder {
    pub(crate) head: Head,
    pub(crate) resolved: Result<Resolved, String>,
}

impl Vocabulary<'_> {
    /// Reads the text of an order that a scanner found.
    ///
    /// # Errors
    /// Where it is no JSON: then the file is unreadable, and this says where.
    pub(crate) fn read(&self, found: &Found, text: &[u8]) -> Result<ReadOrder, Unreadable> {
        if found.too_large {
            let (at, size) = (found.place.offset, found.length);
            let why = format!("the order at byte {at} has {size} bytes, more than the {MAX_ORDER_BYTES} that are read");
            return Ok(ReadOrder { head: text::head_of_beginning(text), resolved: Err(why) });
        }
        let order = OrderText::parse(text).map_err(|error| wrong(found, &error))?;
        let Some(order) = order else {
            let why = format!("the order at byte {} is no object", found.place.offset);
            return Ok(ReadOrder { head: Head::default(), resolved: Err(why) });
        };
        let head = order.head();
        Ok(ReadOrder { head, resolved: self.resolve(order) })
    }
}

/// The reader's complaint about an order, at its place in the file. It never shows what is written there.
fn wrong(found: &Found, error: &serde_json::Error) -> Unreadable {
    let mut place = found.place;
    let (line, column) = (error.line() as u64, error.column() as u64);
    if line > 1 {
        (place.line, place.column) = (place.line + line - 1, column);
    } else {
        place.column += column.saturating_sub(1);
    }
    let what = match error.classify() {
        serde_json::error::Category::Syntax => "it is no JSON",
        _ => "it is no JSON that can be read",
    };
    Unreadable::Wrong { place, what: format!("{what}, in the order that begins at byte {}", found.place.offset) }
}

#[cfg(test)]
mod tests;
