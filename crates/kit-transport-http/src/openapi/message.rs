//! Where the parts of a request's message go: path, query, body.

use http::Method;
use serde_json::{Map, Value, json};

use super::schemas::bounded;
use super::{Description, Schemas};
use crate::Route;
use crate::route::{Piece, is_bodiless};

/// What an operation takes: the values of `parameters` and `requestBody`.
pub(super) struct Taken {
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
}

/// The parts of a message that is read by this verb of the route.
pub(super) fn taken(route: &Route, verb: &Method, message: &Description, schemas: &Schemas) -> Taken {
    let in_path = |piece| match piece {
        Piece::Param(name) | Piece::Rest(name) => Some(name),
        Piece::Text(_) => None,
    };
    let in_path: Vec<&str> = route.pieces().filter_map(in_path).collect();
    if !message.fields || route.is_all_in_body(verb) {
        let parameters = in_path.iter().map(|name| parameter("path", name, &json!({}), true, schemas)).collect();
        // Bodies that may be left out have no meaning with these verbs.
        let bare = message.optional && is_bodiless(verb);
        let mut body = json!({"content": message.content(), "required": !message.optional});
        if message.items {
            body["description"] = json!("a stream of items: the schema is that of one item");
        }
        return Taken { parameters, body: Some(body).filter(|_| !bare) };
    }
    let mut object = object(message, schemas);
    let fields = take_fields(&mut object, "properties");
    let required: Vec<Value> = object.remove("required").and_then(|it| it.as_array().cloned()).unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|known| known == name);

    let mut parameters = Vec::new();
    for name in &in_path {
        let schema = fields.get(*name).cloned().unwrap_or_else(|| json!({}));
        parameters.push(parameter("path", name, &schema, true, schemas));
    }
    let known = fields.keys().map(String::as_str);
    let unknown = route.query_names().filter(|name| !fields.contains_key(*name));
    let in_query: Vec<&str> =
        known.chain(unknown).filter(|name| !in_path.contains(name) && route.takes_from_query(verb, name)).collect();
    let anything = json!({});
    let mut needs_query = false;
    for name in &in_query {
        let schema = fields.get(*name).unwrap_or(&anything);
        // No text is an object: such a field can be left out, or else the operation cannot be called.
        let is_object = schemas.resolved(&without_null(schema)).get("type").is_some_and(|kind| kind == "object");
        if is_required(name) || !is_object {
            needs_query |= is_required(name);
            parameters.push(parameter("query", name, schema, is_required(name), schemas));
        }
    }
    if is_bodiless(verb) {
        let open = fields.is_empty() && object.get("additionalProperties").is_some_and(|more| *more != json!(false));
        if open && route.query_names().next().is_none() {
            // All of the query, under names that nobody knows beforehand.
            let schema = bounded(Value::Object(object));
            parameters
                .push(json!({"name": "fields", "in": "query", "style": "form", "explode": true, "schema": schema}));
        }
        return Taken { parameters, body: None };
    }

    let rest: Map<_, _> = fields
        .iter()
        .filter(|(name, _)| !in_path.contains(&name.as_str()) && !in_query.contains(&name.as_str()))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    let needed: Vec<_> = rest.keys().filter(|name| is_required(name)).cloned().collect();
    // Without any parameter, no body is no message.
    let needs_body = !needed.is_empty() || (in_path.is_empty() && !needs_query && !message.optional);
    let open = object.get("additionalProperties").is_some_and(|more| *more != json!(false));
    if rest.is_empty() && !needs_body && !open {
        return Taken { parameters, body: None };
    }
    object.insert("properties".to_owned(), rest.into());
    if !needed.is_empty() {
        object.insert("required".to_owned(), needed.into());
    }
    let content = message.content_of(Some(Value::Object(object)));
    Taken { parameters, body: Some(json!({"content": content, "required": needs_body})) }
}

fn take_fields(object: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match object.remove(name) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The message as the schema of an object. Where it is not known, it may have any fields.
fn object(message: &Description, schemas: &Schemas) -> Map<String, Value> {
    let unknown =
        || Map::from_iter([("type".to_owned(), json!("object")), ("additionalProperties".to_owned(), json!(true))]);
    let Some(schema) = &message.schema else { return unknown() };
    let schema = without_null(schemas.resolved(schema.as_value()));
    let schema = schemas.resolved(&schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let mut object = schema.as_object().cloned().unwrap_or_default();
            // A message of nothing has no fields that must be there.
            if message.optional {
                object.remove("required");
            }
            object
        }
        // `()` has no fields.
        Some("null") => Map::from_iter([("type".to_owned(), json!("object"))]),
        _ => unknown(),
    }
}

fn parameter(place: &str, name: &str, schema: &Value, required: bool, schemas: &Schemas) -> Value {
    let mut schema = bounded(without_null(schema));
    let kind = schemas.resolved(&schema).get("type").cloned();
    if place == "path" && kind.as_ref().is_none_or(|kind| kind == "string") {
        // A parameter of the path that is not known is a text; an empty one is another path.
        if let Some(fields) = schema.as_object_mut() {
            if !fields.contains_key("$ref") {
                fields.entry("type").or_insert_with(|| json!("string"));
            }
            fields.entry("minLength").or_insert_with(|| json!(1));
        }
    }
    let mut parameter = json!({"name": name, "in": place, "required": required});
    if let Some(description) = schema.as_object_mut().and_then(|fields| fields.remove("description")) {
        parameter["description"] = description;
    }
    parameter["schema"] = schema;
    parameter
}

/// The schema without `null`: no text of a parameter is one; a field that may be `null` may be left out.
fn without_null(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return json!({}) };
    let mut fields = fields.clone();
    let is_null = |value: &Value| value.is_null() || value == "null" || *value == json!({"type": "null"});
    for name in ["type", "enum", "anyOf", "oneOf"] {
        let Some(Value::Array(values)) = fields.get_mut(name) else { continue };
        values.retain(|value| !is_null(value));
        if let ([only], true) = (&**values, name != "enum") {
            let only = only.clone();
            fields.remove(name);
            match only {
                Value::Object(inner) => fields.extend(inner),
                kind => {
                    fields.insert(name.to_owned(), kind);
                }
            }
        }
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    Value::Object(fields)
}
