//! The product tested as a whole, and the habits of its repository.

mod dependencies;
mod tidy;
