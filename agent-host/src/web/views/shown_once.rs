//! A secret that is told once, to whoever asked for it, in the answer to that very question.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// A text that is written into an answer and nowhere else.
#[derive(Debug, Clone)]
pub struct ShownOnce(pub SecretString);

impl Serialize for ShownOnce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl PartialSchema for ShownOnce {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

impl ToSchema for ShownOnce {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ShownOnce")
    }
}
