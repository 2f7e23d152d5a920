//! addsvc over HTTP: JSON bodies, and business errors as Go kit's addsvc gives them, `400 {"error": "..."}`.

use http::{Response, StatusCode, header::CONTENT_TYPE};
use kit_base::{Error, Observer};
use kit_transport_http::{BuildError, DescribedJson, HttpClient, HttpServer, Json, OpenApi, Reply};

use crate::{AddEndpoints, own_error};

/// Serves what is bound to it, [`AddEndpoints`], over HTTP: `POST /sum`, `POST /concat`, and `GET /openapi.json`. The observer is
/// told of panics.
pub fn http_server(observer: impl Observer + 'static) -> HttpServer<DescribedJson> {
    let server = HttpServer::with_codec(Json::new().described()).error_encoder(encode_error);
    let openapi = OpenApi::new("addsvc", env!("CARGO_PKG_VERSION"))
        .description(env!("CARGO_PKG_DESCRIPTION"))
        .error::<Failure>(StatusCode::BAD_REQUEST, "application/json");
    server.openapi(openapi).request_id().observer(observer)
}

/// Calls the addsvc at this URL. Layers go over all methods, or over one.
///
/// # Errors
/// It is no base URL.
pub fn http_client(url: &str) -> Result<AddEndpoints, BuildError> {
    Ok(AddEndpoints::connect(&HttpClient::new(url)?.error_decoder(decode_error)).boxed())
}

/// An error of the service's own.
#[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// What Go kit's addsvc says.
    error: String,
}

/// The answer to an error of the service's own; nothing for other errors.
pub fn encode_error(error: &Error) -> Option<Response<bytes::Bytes>> {
    let body = serde_json::to_vec(&Failure { error: own_error(error.message())?.to_string() }).ok()?;
    let answer = Response::builder().status(StatusCode::BAD_REQUEST).header(CONTENT_TYPE, "application/json");
    answer.body(body.into()).ok()
}

/// The service's own error in such an answer; nothing in others.
pub fn decode_error(reply: &Reply) -> Option<Error> {
    let Failure { error } = serde_json::from_slice(&reply.body).ok()?;
    own_error(&error).map(Error::from)
}
