//! Go kit's first example, stringsvc1: two methods on strings, over HTTP. The trait, its messages, the logic and the service.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use kit_endpoint::{Context, Error, Kind, service};
use kit_transport_http::{BuildError, HttpClient, HttpServer, HttpService, Json, OpenApi};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two operations on strings.
#[service(name = "stringsvc")]
pub trait StringService {
    /// The string in capitals. An empty one is an error, and travels inside the reply.
    #[idempotent]
    #[http("GET,POST /uppercase")]
    async fn uppercase(&self, cx: &Context, req: StringRequest) -> Result<UppercaseReply, Error>;

    /// The length of the string in bytes.
    #[idempotent]
    #[http("GET,POST /count")]
    async fn count(&self, cx: &Context, req: StringRequest) -> Result<CountReply, Error>;
}

/// A string.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StringRequest {
    /// The string.
    pub s: String,
}

/// A string in capitals, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UppercaseReply {
    /// The string.
    pub v: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err: Option<Cow<'static, str>>,
}

/// A length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountReply {
    /// In bytes.
    pub v: usize,
}

/// The logic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strings;

impl StringService for Strings {
    async fn uppercase(&self, _: &Context, req: StringRequest) -> Result<UppercaseReply, Error> {
        let err = req.s.is_empty().then_some("empty string".into());
        Ok(UppercaseReply { v: req.s.to_uppercase(), err })
    }

    async fn count(&self, _: &Context, req: StringRequest) -> Result<CountReply, Error> {
        Ok(CountReply { v: req.s.len() })
    }
}

/// Serves it over HTTP; as strict as one should be, or as lenient as the original.
///
/// # Errors
/// None that a user could cause: the routes are fixed.
pub fn http_service(service: impl StringService, go_compat: bool) -> Result<HttpService, BuildError> {
    let endpoints = StringServiceEndpoints::new(service);
    let openapi = OpenApi::new("stringsvc1", env!("CARGO_PKG_VERSION"));
    if !go_compat {
        return endpoints.bind(HttpServer::with_codec(Json::new().body_only().described()).openapi(openapi)).build();
    }
    let openapi = openapi.without_problem_details().error::<String>(StatusCode::INTERNAL_SERVER_ERROR, "text/plain");
    let server = HttpServer::with_codec(Json::lenient().body_only().described())
        .openapi(openapi)
        .route("uppercase", "ANY /uppercase")
        .route("count", "ANY /count")
        .error_encoder(go_error);
    endpoints.bind(server).build()
}

/// The client of the service at this URL, to connect the service by; it sends `GET` with a body, as Go kit's does.
///
/// # Errors
/// It is no base URL.
pub fn http_client(url: &str) -> Result<HttpClient, BuildError> {
    Ok(HttpClient::new(url)?.codec(Json::new().body_only()))
}

/// Go kit's default: whatever fails is 500 with the error's text, as far as that is meant for peers.
fn go_error(error: &Error) -> Option<Response<Bytes>> {
    let mut answer = Response::new(Bytes::from(error.peer_message().to_owned()));
    *answer.status_mut() = match error.kind() {
        Kind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(answer)
}
