//! Streams of JSON: newline-delimited, and server-sent events on the way to a client.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use kit_base::{Error, Streaming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{APPLICATION_JSON, Json};
use crate::codec::accept::prefers;
use crate::codec::lines::{Items, Line, Lines};
use crate::codec::sse::{self, Reader, TooLong};
use crate::codec::{
    DecodeRequestStream, DecodeResponseStream, EncodeRequestStream, EncodeResponseStream, Form, Outgoing, Received,
    Reply, Sse, TOO_LARGE, is_type, malformed, whole,
};
use crate::problem;
use crate::{Pieces, Route};

const NDJSON: HeaderValue = HeaderValue::from_static(LINES);
const EVENT_STREAM: HeaderValue = HeaderValue::from_static(EVENTS);
const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// What stands before the problem details of an error among lines of JSON.
const ERROR: &[u8] = br#"{"$error":"#;

/// The name of the event that is an error.
const PROBLEM: &str = "problem";

fn is_ndjson(essence: &str) -> bool {
    matches!(essence, LINES | "application/ndjson" | "application/jsonl" | "application/x-jsonlines")
}

fn written(item: &impl Serialize) -> Result<Vec<u8>, Error> {
    let wrong = |error| Error::internal("the item cannot be encoded").with_source(error);
    let mut json = serde_json::to_vec(item).map_err(wrong)?;
    // Only JSON that was taken over as it came (`RawValue`) has line breaks, and those are spaces between its parts.
    for byte in &mut json {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    Ok(json)
}

fn as_line(item: &impl Serialize) -> Result<Bytes, Error> {
    let mut line = written(item)?;
    line.push(b'\n');
    Ok(line.into())
}

/// The form that the caller takes, of items that are events with this data.
fn form<T: 'static, D: Serialize + 'static>(request: &Received<'_>, event: fn(T) -> Sse<D>) -> Form<T> {
    let form = if prefers(request.context.inbound(), EVENTS, LINES) {
        let write = move |item| {
            let event = event(item);
            let data = written(&event.data)?;
            sse::write(&event.map(|_| data))
        };
        let problem =
            |error: &Error| [&b"event: problem\ndata: "[..], &problem::write_in_band(error), b"\n\n"].concat().into();
        Form::new(EVENT_STREAM, write).with_error(problem).with_idle(Bytes::from_static(b":\n\n"))
    } else {
        let problem = |error: &Error| [ERROR, &problem::write_in_band(error), b"}\n"].concat().into();
        Form::new(NDJSON, move |item| as_line(&event(item).data)).with_error(problem)
    };
    // Or a proxy may hold items back, or serve them again.
    let buffering = HeaderName::from_static("x-accel-buffering");
    form.with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .with_header(buffering, HeaderValue::from_static("no"))
}

/// What is wrong with a line, without serde's own count of lines.
fn at_line(number: u64, error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("line {number}, column {}: {what}", error.column()),
        None => format!("line {number}: {text}"),
    }
}

fn line_too_long(number: u64, limit: usize) -> Error {
    Error::invalid_argument(format!("line {number} of the body is longer than {limit} bytes")).with_reason(TOO_LARGE)
}

fn item_too_long(number: u64, limit: usize) -> Error {
    Error::internal(format!("line {number} of the answer, or its item, is longer than {limit} bytes"))
        .with_reason("ANSWER_TOO_LARGE")
}

fn undecodable(number: u64, error: &serde_json::Error) -> Error {
    Error::internal(format!("the answer cannot be decoded: {}", at_line(number, error)))
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The items of an answer, whichever of the two forms it has.
fn items<T, D>(reply: &Reply, body: Pieces, item: fn(Sse<D>) -> T) -> Result<Streaming<T>, Error>
where
    T: 'static,
    D: DeserializeOwned + 'static,
{
    if reply.headers.contains_key(CONTENT_TYPE) && is_of(&reply.headers, |essence| essence == EVENTS) {
        let limit = body.item_limit();
        let mut reader = Reader::default();
        let read = move |(number, line): Line| {
            // A byte order mark may stand before the first line.
            let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line[..] };
            let event = reader.take(line, limit).map_err(|TooLong| item_too_long(number, limit))?;
            let Some(event) = event else { return Ok(None) };
            let wrong = |error| undecodable(number, &error);
            if event.event.as_deref() == Some(PROBLEM) {
                return Err(problem::read_in_band(&serde_json::from_slice(&event.data).map_err(wrong)?));
            }
            let data = serde_json::from_slice(&event.data).map_err(wrong)?;
            Ok(Some(item(event.map(|_| data))))
        };
        return Ok(Streaming::new(Items::new(Lines::new(body, item_too_long).or_bare_cr(), read)));
    }
    if !is_of(&reply.headers, |essence| is_ndjson(essence) || essence == "application/json") {
        return Err(reply.undecodable());
    }
    let read = move |(number, line): Line| {
        let wrong = |error| undecodable(number, &error);
        if line.starts_with(ERROR) {
            let line: Map<String, Value> = serde_json::from_slice(&line).map_err(wrong)?;
            let problem = line.get("$error").and_then(Value::as_object);
            return Err(problem::read_in_band(problem.unwrap_or(&Map::new())));
        }
        match is_blank(&line) {
            true => Ok(None),
            false => serde_json::from_slice(&line).map(|data| Some(item(Sse::new(data)))).map_err(wrong),
        }
    };
    Ok(Streaming::new(Items::new(Lines::new(body, item_too_long), read)))
}

/// Whether the body is of such a type, or of none.
fn is_of(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> bool {
    is_type(headers, "", wanted).is_ok()
}

impl<T: DeserializeOwned + 'static> DecodeRequestStream<T> for Json {
    fn decode_request_stream(&self, request: &Received<'_>, body: Pieces) -> Result<Streaming<T>, Error> {
        if !self.lenient {
            is_type(request.context.inbound(), LINES, is_ndjson)?;
        }
        let json = *self;
        let read = move |(number, line): Line| match is_blank(&line) {
            true => Ok(None),
            false => json.message(&line).map(Some).map_err(|error| malformed(at_line(number, &error))),
        };
        Ok(Streaming::new(Items::new(Lines::new(body, line_too_long), read)))
    }

    #[cfg(feature = "openapi")]
    fn describe_request_stream(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        taken()
    }
}

impl<T: Serialize + 'static> EncodeResponseStream<T> for Json {
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<T>, Error> {
        Ok(form(request, Sse::new))
    }

    #[cfg(feature = "openapi")]
    fn describe_answer_stream(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        given()
    }
}

impl<T: Serialize + 'static> EncodeResponseStream<Sse<T>> for Json {
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<Sse<T>>, Error> {
        Ok(form(request, |event| event))
    }

    #[cfg(feature = "openapi")]
    fn describe_answer_stream(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        given()
    }
}

/// What is known of a request that streams without a schema of its items. No line is a stream of nothing.
#[cfg(feature = "openapi")]
pub(super) fn taken() -> crate::Description {
    crate::Description::of(LINES).optional().of_items()
}

/// The same of an answer.
#[cfg(feature = "openapi")]
pub(super) fn given() -> crate::Description {
    crate::Description::of(LINES).or(EVENTS).of_items()
}

impl<T: Serialize + 'static> EncodeRequestStream<T> for Json {
    fn encode_request_stream(&self, route: &Route, _: &Method) -> Result<(Outgoing, Form<T>), Error> {
        let outgoing = Outgoing::to(whole(route)?).accepting(APPLICATION_JSON);
        Ok((outgoing, Form::new(NDJSON, |item| as_line(&item))))
    }
}

impl<T: DeserializeOwned + 'static> DecodeResponseStream<T> for Json {
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<T>, Error> {
        items(reply, body, |event| event.data)
    }

    fn accept(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("application/x-ndjson, text/event-stream;q=0.5"))
    }
}

impl<T: DeserializeOwned + 'static> DecodeResponseStream<Sse<T>> for Json {
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<Sse<T>>, Error> {
        items(reply, body, |event| event)
    }

    fn accept(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("text/event-stream, application/x-ndjson;q=0.5"))
    }
}
