//! `/oauth/{directory}/authorize`: somebody is asked whether a client may act in a directory. `/oauth/{directory}/token`:
//! the client gets its tokens.
//!
//! Nobody is sent back to an address that is not, letter by letter, one the client was set up with; what is wrong with
//! such a request is told to the person alone. Sources: RFC 6749 §§4.1, 5, 6, RFC 7636, RFC 9700.

mod consent;
mod fields;
mod token;

use std::sync::Arc;

use axum::{Router, routing::get, routing::post};

use super::Web;
pub(super) use consent::Pages;

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/oauth/{directory}/authorize", get(consent::ask).post(consent::decide))
        .route("/oauth/{directory}/token", post(token::answer))
}
