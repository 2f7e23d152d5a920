//! JSON by serde, the default.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use kit_base::{Error, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use super::{
    DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Outgoing, Received, Reply, is_type, malformed, probe,
};
use crate::Route;
use crate::params;
use crate::route::Piece;

/// JSON by serde.
///
/// Strict by default: a request must be of a JSON type or of none, must not be empty, and nothing may follow the value.
/// [`lenient`](Self::lenient) reads as Go kit does.
///
/// A route with parameters fills the message from path, query and body, in this order of precedence; texts are parsed as
/// the fields want them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json {
    lenient: bool,
}

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is kept as it is in a piece of a path: the unreserved characters of RFC 3986.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Json {
    /// Strict JSON.
    #[must_use]
    pub const fn new() -> Self {
        Self { lenient: false }
    }

    /// Reads as Go's decoder does in Go kit's examples: any content type, `null` as an empty object, keys in any case,
    /// and only the first value counts.
    #[must_use]
    pub const fn lenient() -> Self {
        Self { lenient: true }
    }

    fn value<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, serde_json::Error> {
        if body.trim_ascii_start().first() == Some(&b'[') {
            if let Some(name) = probe::struct_name::<T>() {
                let unexpected = serde::de::Unexpected::Seq;
                return Err(serde_json::Error::invalid_type(unexpected, &&*format!("an object for {name}")));
            }
        }
        if self.lenient {
            let value = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
            let value = value.unwrap_or_else(|| serde_json::from_str(""))?;
            return serde_json::from_value(lower_keys(value));
        }
        serde_json::from_slice(body)
    }
}

/// A value as Go would fill a struct from: `null` leaves all fields alone, and the case of keys does not matter.
fn lower_keys(value: Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect(),
        other => other,
    }
}

impl<T: DeserializeOwned> DecodeRequest<T> for Json {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        let Received { info, context, params, body } = *request;
        if !self.lenient && !body.is_empty() {
            is_type(context.inbound(), |essence| essence == "application/json" || essence.ends_with("+json"))?;
        }
        let bodiless = body.is_empty() && matches!(info.method, Method::GET | Method::HEAD | Method::DELETE);
        if params.is_empty() && !bodiless {
            if body.is_empty() {
                return Err(malformed("the body is empty"));
            }
            return self.value(body).map_err(malformed);
        }
        let fields = if body.is_empty() { Map::new() } else { self.value(body).map_err(malformed)? };
        params::message(params, fields).map_err(malformed)
    }
}

impl<T: Serialize> EncodeOutcome<T> for Json {
    fn encode_outcome(
        &self,
        _: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        let body = serde_json::to_vec(outcome?.message())
            .map_err(|error| Error::internal("the answer cannot be encoded").with_source(error))?;
        let mut answer = http::Response::new(Bytes::from(body));
        answer.headers_mut().insert(CONTENT_TYPE, APPLICATION_JSON);
        Ok(answer)
    }
}

impl<T: Serialize> EncodeRequest<T> for Json {
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error> {
        let fail = |error| Error::internal("the request cannot be encoded").with_source(error);
        let bodiless = matches!(*verb, Method::GET | Method::HEAD | Method::DELETE);
        let mut params = route.pieces().filter(|piece| matches!(piece, Piece::Param(_)));
        if params.next().is_none() && !bodiless {
            let body = serde_json::to_vec(message).map_err(fail)?;
            return Ok(Outgoing::to(route.path()).with_body(APPLICATION_JSON, body).accepting(APPLICATION_JSON));
        }
        let mut fields = match serde_json::to_value(message).map_err(fail)? {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => return Err(Error::internal(format!("a message for {route} must be an object, got {other}"))),
        };
        let mut target = path(route, &mut fields)?;
        let query = query(route, verb, &mut fields);
        if !query.is_empty() {
            target.push('?');
            target.push_str(&query);
        }
        let outgoing = Outgoing::to(target).accepting(APPLICATION_JSON);
        if bodiless {
            return Ok(outgoing);
        }
        Ok(outgoing.with_body(APPLICATION_JSON, serde_json::to_vec(&fields).map_err(fail)?))
    }
}

/// The path, its parameters taken out of the fields.
fn path(route: &Route, fields: &mut Map<String, Value>) -> Result<String, Error> {
    let mut path = String::new();
    for piece in route.pieces() {
        match piece {
            Piece::Text(text) => path.push_str(text),
            Piece::Param(name) => {
                let name = name.trim_start_matches('*');
                let text = fields.remove(name).as_ref().and_then(text).filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| {
                    Error::invalid_argument(format!("field {name:?} is in the path of {route} and must not be empty"))
                        .with_origin(kit_base::Origin::NotSent)
                })?;
                path.extend(utf8_percent_encode(&text, &PATH));
            }
        }
    }
    Ok(path)
}

/// The query, its parameters taken out of the fields.
fn query(route: &Route, verb: &Method, fields: &mut Map<String, Value>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    fields.retain(|name, value| {
        if !route.takes_from_query(verb, name) {
            return true;
        }
        match value {
            Value::Array(values) => values.iter().filter_map(text).for_each(|text| {
                query.append_pair(name, &text);
            }),
            value => {
                if let Some(text) = text(value) {
                    query.append_pair(name, &text);
                }
            }
        }
        false
    });
    query.finish()
}

/// A scalar as the text of a parameter.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl<T: DeserializeOwned> DecodeResponse<T> for Json {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        // A status without a body stands for the message that has none: `null`.
        let body: &[u8] = if reply.body.is_empty() { b"null" } else { &reply.body };
        serde_json::from_slice(body).map_err(|error| {
            let got = reply.headers.get(CONTENT_TYPE);
            Error::internal(format!("the answer ({}, {got:?}) cannot be decoded", reply.status)).with_source(error)
        })
    }
}
