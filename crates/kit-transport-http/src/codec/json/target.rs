//! Path and query of a client's request, from the fields of its message.

use http::Method;
use kit_base::{Error, Origin};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::Route;
use crate::route::Piece;

/// What is kept as it is in a segment of a path: the unreserved characters of RFC 3986.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in the rest of a path.
const REST: AsciiSet = SEGMENT.remove(b'/');

/// The target of a request; what it takes is taken out of the fields.
pub(super) fn target(route: &Route, verb: &Method, fields: &mut Map<String, Value>) -> Result<String, Error> {
    let mut target = String::new();
    for piece in route.pieces() {
        match piece {
            Piece::Text(text) => target.push_str(text),
            Piece::Param(name) => target.extend(utf8_percent_encode(&param(route, name, fields)?, &SEGMENT)),
            Piece::Rest(name) => target.extend(utf8_percent_encode(&param(route, name, fields)?, &REST)),
        }
    }
    let query = query(route, verb, fields)?;
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query);
    }
    Ok(target)
}

fn param(route: &Route, name: &str, fields: &mut Map<String, Value>) -> Result<String, Error> {
    let text = fields.remove(name).as_ref().and_then(text).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        let message = format!("field {name:?} is in the path of {route}, and must be a text or number and not empty");
        Error::invalid_argument(message).with_origin(Origin::NotSent)
    })
}

fn query(route: &Route, verb: &Method, fields: &mut Map<String, Value>) -> Result<String, Error> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let names: Vec<_> = fields.keys().filter(|name| route.takes_from_query(verb, name)).cloned().collect();
    for name in names {
        let values = match fields.remove(&name) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(values)) => values,
            Some(value) => vec![value],
        };
        for value in values {
            let text = text(&value).ok_or_else(|| {
                let message = format!(
                    "field {name:?} is in the query of {route}, and must be a text, number or bool, or a list of such"
                );
                Error::invalid_argument(message).with_origin(Origin::NotSent)
            })?;
            query.append_pair(&name, &text);
        }
    }
    Ok(query.finish())
}

/// A scalar as the text of a parameter.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
