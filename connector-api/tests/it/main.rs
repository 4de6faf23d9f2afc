//! What the crate promises to its users, tried from outside.

mod vendor_page;
