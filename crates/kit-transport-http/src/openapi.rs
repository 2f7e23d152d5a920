//! What an OpenAPI document says beside its operations: title, version, where it is served, what errors look like.

mod description;
mod document;
mod errors;
mod message;
mod schemas;

use std::fmt;

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

pub use description::Description;
pub(crate) use document::Writer;
pub(crate) use schemas::Schemas;

/// The settings of an OpenAPI 3.1 document, for [`HttpServer::openapi`](crate::HttpServer::openapi).
///
/// Paths, verbs, parameters and media types come from routes and codecs, schemas from codecs that know them, as
/// [`Json::described`](crate::Json::described). Each operation has the errors that the server answers by itself, and
/// problem details for all others; what an [`error_encoder`](crate::HttpServer::error_encoder) makes instead is told by
/// [`error`](Self::error).
///
/// ```
/// use http::StatusCode;
/// use kit_transport_http::OpenApi;
///
/// #[derive(schemars::JsonSchema)]
/// struct Failure {
///     error: String,
/// }
///
/// let openapi = OpenApi::new("addsvc", "1.0.0")
///     .description("Adds numbers, and joins texts.")
///     .error::<Failure>(StatusCode::BAD_REQUEST, "application/json")
///     .amend(|document| document["servers"] = serde_json::json!([{"url": "https://add.example.com"}]));
/// # let _ = openapi;
/// ```
pub struct OpenApi {
    title: String,
    version: String,
    description: Option<String>,
    pub(crate) path: String,
    problem_details: bool,
    errors: Vec<OwnError>,
    amend: Vec<Amend>,
}

type Amend = Box<dyn Fn(&mut Value) + Send + Sync>;

/// An error in another form than problem details.
struct OwnError {
    status: StatusCode,
    media_type: String,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl OpenApi {
    /// A document with this title, of an interface of this version.
    #[must_use]
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            path: "/openapi.json".to_owned(),
            problem_details: true,
            errors: Vec::new(),
            amend: Vec::new(),
        }
    }

    /// What the interface is for, in CommonMark.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Where the document is served; `/openapi.json` by default. The server's prefix does not stand before it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Says that the server's [`error_encoder`](crate::HttpServer::error_encoder) answers with `E` under this status and
    /// media type; `String` for a text.
    #[must_use]
    pub fn error<E: JsonSchema>(mut self, status: StatusCode, media_type: impl Into<String>) -> Self {
        let schema = |schemas: &mut SchemaGenerator| schemas.subschema_for::<E>();
        self.errors.push(OwnError { status, media_type: media_type.into(), schema });
        self
    }

    /// Says that no error is answered with problem details, since the
    /// [`error_encoder`](crate::HttpServer::error_encoder) has a form for each.
    #[must_use]
    pub fn without_problem_details(mut self) -> Self {
        self.problem_details = false;
        self
    }

    /// Changes the document when it is otherwise done: for servers, security, examples, another status of a success.
    #[must_use]
    pub fn amend(mut self, amend: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.amend.push(Box::new(amend));
        self
    }

    pub(crate) fn amended(&self, mut document: Value) -> Value {
        for amend in &self.amend {
            amend(&mut document);
        }
        document
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi")
            .field("title", &self.title)
            .field("version", &self.version)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
