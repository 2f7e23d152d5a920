//! addsvc over HTTP: JSON bodies, and business errors as Go kit's addsvc gives them, `400 {"error": "..."}`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use kit_base::{Error, Observer};
use kit_transport_http::{BuildError, HttpClient, HttpServer, HttpService, Reply};

use crate::{Add, AddEndpoints, AddError};

/// Serves addsvc over HTTP: `POST /sum`, `POST /concat`. The observer is told of panics.
///
/// # Errors
/// None that a user could cause: the routes are fixed.
pub fn http_service(service: impl Add, observer: impl Observer + 'static) -> Result<HttpService, BuildError> {
    AddEndpoints::new(service).bind(HttpServer::new().error_encoder(encode_error).observer(observer)).build()
}

/// Calls the addsvc at this URL.
///
/// # Errors
/// It is no base URL.
pub fn http_client(url: &str) -> Result<impl Add + use<>, BuildError> {
    Ok(AddEndpoints::connect(&HttpClient::new(url)?.error_decoder(decode_error)))
}

fn encode_error(error: &Error) -> Option<Response<Bytes>> {
    let own = AddError::from_text(error.message())?;
    let body = serde_json::json!({ "error": own.to_string() }).to_string();
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(answer)
}

fn decode_error(reply: &Reply) -> Option<Error> {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    AddError::from_text(body.get("error")?.as_str()?).map(Error::from)
}
