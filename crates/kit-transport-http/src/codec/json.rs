//! JSON by serde, the default.

#[cfg(feature = "openapi")]
mod described;
mod lenient;
mod stream;
mod strict;
mod target;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use kit_base::{Error, Origin, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Outgoing, Received, Reply, is_type, malformed,
};
use crate::Route;
use crate::params;
use crate::route::is_bodiless;

#[cfg(feature = "openapi")]
pub use described::DescribedJson;
pub(crate) use lenient::{Lenient, fold};
use strict::Strict;

/// JSON by serde.
///
/// Strict by default: a body must be of a JSON type or of none, a struct is an object, and nothing may follow it. No body
/// is a malformed request, unless the message can be made of nothing: `()`, an `Option`.
/// [`lenient`](Self::lenient) reads as Go kit does.
///
/// A route with parameters fills the message from path, query and body, in this order of precedence. Texts are parsed as
/// the fields want them: numbers, bools, unit variants of enums; a parameter that is given more than once is a list.
/// A client does it the other way round, and refuses a message of which a field has no place in its route.
///
/// Streams are newline-delimited JSON (`application/x-ndjson`), an item a line. To a client whose `Accept` prefers it
/// (`EventSource` does), a server sends server-sent events (`text/event-stream`) instead, from the same endpoint; items of
/// the type [`Sse`](crate::Sse) have names and ids there. An error that ends a stream is its last line,
/// `{"$error": …}` with the members of problem details, or the event `problem` with those as data. A client reads both.
/// Parameters of a route are no part of a stream that a request sends; the endpoint finds them as
/// [`Params`](crate::Params) in the extensions of its context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json {
    lenient: bool,
    body_only: bool,
}

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Json {
    /// Strict JSON.
    #[must_use]
    pub const fn new() -> Self {
        Self { lenient: false, body_only: false }
    }

    /// Reads as Go's decoder does in Go kit's examples: any content type, `null` as if the field or object were not there,
    /// the keys of structs in any case, and only the first value counts. A body is needed with every verb.
    #[must_use]
    pub const fn lenient() -> Self {
        Self { lenient: true, body_only: false }
    }

    /// The same with the body as the whole message, whatever the verb: parameters are not looked at, and a `GET` has a
    /// body too, as Go kit's clients send it.
    #[must_use]
    pub const fn body_only(mut self) -> Self {
        self.body_only = true;
        self
    }

    /// The same, which also tells the OpenAPI document what the messages are: each needs [`schemars::JsonSchema`], which
    /// is derived. The compiler names a message that lacks it:
    ///
    /// ```compile_fail,E0277
    /// # use kit_base::{Endpoint, Error, Operation, Request, Response};
    /// # use kit_transport_http::{HttpServer, Json};
    /// #[derive(serde::Deserialize)] // and schemars::JsonSchema
    /// struct Ask {
    ///     name: String,
    /// }
    /// # struct Length;
    /// # impl Endpoint<Request<Ask>> for Length {
    /// #     type Response = Response<usize>;
    /// #     type Error = Error;
    /// #     async fn call(&self, request: Request<Ask>) -> Result<Response<usize>, Error> {
    /// #         Ok(Response::new(request.into_message().name.len()))
    /// #     }
    /// # }
    ///
    /// // the trait bound `Ask: JsonSchema` is not satisfied
    /// HttpServer::with_codec(Json::new().described()).endpoint(Operation::new("demo", "length"), Length);
    /// ```
    #[cfg(feature = "openapi")]
    #[must_use]
    pub const fn described(self) -> DescribedJson {
        DescribedJson(self)
    }

    /// What is known of a request without a schema of its message.
    #[cfg(feature = "openapi")]
    fn describe<T: DeserializeOwned>(self) -> crate::Description {
        let mut description = crate::Description::of("application/json");
        // As an empty body is read, in either mode.
        if serde_json::from_str::<T>("null").is_ok() {
            description = description.optional();
        }
        match self.body_only {
            true => description,
            false => description.fields(),
        }
    }

    fn message<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, serde_json::Error> {
        if self.lenient {
            return T::deserialize(Lenient(first_value(body)?));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let message = T::deserialize(Strict(&mut deserializer))?;
        deserializer.end()?;
        Ok(message)
    }

    fn fields(self, body: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
        if body.is_empty() {
            return Ok(Map::new());
        }
        match self.lenient {
            true => Ok(serde_json::from_value::<Option<_>>(first_value(body)?)?.unwrap_or_default()),
            false => serde_json::from_slice(body),
        }
    }
}

fn first_value(body: &[u8]) -> Result<Value, serde_json::Error> {
    let first = serde_json::Deserializer::from_slice(body).into_iter().next();
    first.unwrap_or_else(|| serde_json::from_str(""))
}

impl<T: DeserializeOwned> DecodeRequest<T> for Json {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        let Received { info, context, params, body } = *request;
        if !self.lenient && !body.is_empty() {
            is_type(context.inbound(), "application/json", |essence| {
                essence == "application/json" || essence.ends_with("+json")
            })?;
        }
        let from_params = !params.is_empty() || (body.is_empty() && !self.lenient && is_bodiless(&info.method));
        if from_params && !self.body_only {
            let fields = self.fields(body).map_err(malformed)?;
            return params::message(params, fields, self.lenient).map_err(malformed);
        }
        if body.is_empty() {
            return serde_json::from_str("null").map_err(|_| malformed("the body is empty"));
        }
        self.message(body).map_err(malformed)
    }

    #[cfg(feature = "openapi")]
    fn describe_request(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        self.describe::<T>()
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

    #[cfg(feature = "openapi")]
    fn describe_answer(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        crate::Description::of("application/json")
    }
}

impl<T: Serialize> EncodeRequest<T> for Json {
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error> {
        let fail = |error| Error::internal("the request cannot be encoded").with_source(error);
        if self.body_only || route.is_all_in_body(verb) {
            let body = serde_json::to_vec(message).map_err(fail)?;
            return Ok(Outgoing::to(route.path()).with_body(APPLICATION_JSON, body).accepting(APPLICATION_JSON));
        }
        let mut fields = match serde_json::to_value(message).map_err(fail)? {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => return Err(Error::internal(format!("a message for {route} must be an object, got {other}"))),
        };
        let outgoing = Outgoing::to(target::target(route, verb, &mut fields)?).accepting(APPLICATION_JSON);
        if !is_bodiless(verb) {
            return Ok(outgoing.with_body(APPLICATION_JSON, serde_json::to_vec(&fields).map_err(fail)?));
        }
        match fields.iter().find(|(_, value)| !value.is_null()) {
            Some((name, _)) => {
                let message = format!("field {name:?} has no place in {route}: name it in its path or query");
                Err(Error::invalid_argument(message).with_origin(Origin::NotSent))
            }
            None => Ok(outgoing),
        }
    }
}

impl<T: DeserializeOwned> DecodeResponse<T> for Json {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        // A status without a body stands for the message that has none: `null`.
        let body: &[u8] = if reply.body.is_empty() { b"null" } else { &reply.body };
        serde_json::from_slice(body).map_err(|error| reply.undecodable().with_source(error))
    }
}
