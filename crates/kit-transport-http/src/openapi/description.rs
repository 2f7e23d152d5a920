//! What a codec says of a body.

use schemars::Schema;
use serde_json::{Map, Value};

use super::schemas::bounded;

/// What a codec reads or writes, for the OpenAPI document: media types, the schema if it is known, and whether there must
/// be a body. A codec of one's own gives it by
/// [`describe_request`](crate::DecodeRequest::describe_request) and
/// [`describe_answer`](crate::EncodeOutcome::describe_answer), and of what streams by
/// [`describe_request_stream`](crate::DecodeRequestStream::describe_request_stream) and
/// [`describe_answer_stream`](crate::EncodeResponseStream::describe_answer_stream).
#[derive(Clone, Debug)]
pub struct Description {
    media_types: Vec<String>,
    pub(super) schema: Option<Schema>,
    /// Without a body it is a message too.
    pub(super) optional: bool,
    /// Fields of the message come from path and query.
    pub(super) fields: bool,
    /// The body is many items, and the schema that of one.
    pub(super) items: bool,
}

impl Description {
    /// Anything, or nothing; what closures have.
    #[must_use]
    pub fn unknown() -> Self {
        Self::of("*/*").optional()
    }

    /// Bodies of this media type.
    #[must_use]
    pub fn of(media_type: impl Into<String>) -> Self {
        Self { media_types: vec![media_type.into()], schema: None, optional: false, fields: false, items: false }
    }

    /// Of this one as well.
    #[must_use]
    pub fn or(mut self, media_type: impl Into<String>) -> Self {
        self.media_types.push(media_type.into());
        self
    }

    /// With this schema, as the generator at hand gives it: `schemas.subschema_for::<T>()`.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// A request may be without a body.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Fields of the message may come from path and query, where the route has them; the way of [`Json`](crate::Json).
    #[must_use]
    pub fn fields(mut self) -> Self {
        self.fields = true;
        self
    }

    /// The body is a stream, one item after the other, and the schema is that of one item: OpenAPI 3.1 has no word for it,
    /// so the document says it in the description of the body.
    #[must_use]
    pub fn of_items(mut self) -> Self {
        self.items = true;
        self
    }

    /// The value of `content`, with the whole message as schema.
    pub(super) fn content(&self) -> Value {
        self.content_of(self.schema.clone().map(Schema::to_value))
    }

    /// The same with this schema.
    pub(super) fn content_of(&self, schema: Option<Value>) -> Value {
        let mut media = Map::new();
        if let Some(schema) = schema {
            media.insert("schema".to_owned(), bounded(schema));
        }
        self.media_types.iter().map(|media_type| (media_type.clone(), Value::Object(media.clone()))).collect()
    }
}
