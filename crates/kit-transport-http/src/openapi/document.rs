//! The document: one operation for each verb of each route.

use std::collections::BTreeSet;

use http::Method;
use kit_base::Operation;
use serde_json::{Map, Value, json};

use super::message::{Taken, taken};
use super::{Description, OpenApi, Schemas, errors};
use crate::Route;
use crate::route::Piece;

/// The verbs that OpenAPI knows, all of which `ANY` means. Source: OpenAPI 3.1, path item object.
const VERBS: [Method; 8] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
    Method::PATCH,
    Method::TRACE,
];

/// What is said of an answer that streams.
const SUCCESSES: &str = "success, a stream of items: the schema is that of one item";

/// A document that is being written.
pub(crate) struct Writer {
    head: Value,
    paths: Map<String, Value>,
    ids: BTreeSet<String>,
    /// The answers to errors, by status.
    errors: Map<String, Value>,
}

impl Writer {
    pub(crate) fn new(openapi: &OpenApi, schemas: &mut Schemas) -> Self {
        let mut info = json!({"title": openapi.title, "version": openapi.version});
        if let Some(description) = &openapi.description {
            info["description"] = json!(description);
        }
        let head = json!({"openapi": "3.1.0", "info": info});
        Self { head, paths: Map::new(), ids: BTreeSet::new(), errors: errors::responses(openapi, schemas) }
    }

    /// Adds what is bound to a route, with what it takes and gives.
    pub(crate) fn add(
        &mut self,
        operation: &Operation,
        route: &Route,
        (takes, gives): (Description, Description),
        schemas: &mut Schemas,
    ) {
        let verbs: Vec<_> = VERBS.into_iter().filter(|verb| route.names_verb(verb)).collect();
        for verb in &verbs {
            let mut id = format!("{}.{}", operation.service(), operation.method());
            let verb_name = verb.as_str().to_ascii_lowercase();
            if verbs.len() > 1 {
                id = format!("{id}.{verb_name}");
            }
            let Taken { parameters, body } = taken(route, verb, &takes, schemas);
            let mut entry = json!({
                "operationId": self.unique(id),
                "tags": [operation.service()],
                "responses": self.answers(verb, &gives),
            });
            if !parameters.is_empty() {
                entry["parameters"] = parameters.into();
            }
            if let Some(body) = body {
                entry["requestBody"] = body;
            }
            let path = self.paths.entry(path(route)).or_insert_with(|| json!({}));
            path[&verb_name] = entry;
        }
    }

    /// One operation may be bound twice, under two prefixes.
    fn unique(&mut self, id: String) -> String {
        let mut given = id.clone();
        let mut count = 1;
        while !self.ids.insert(given.clone()) {
            count += 1;
            given = format!("{id}.{count}");
        }
        given
    }

    fn answers(&self, verb: &Method, gives: &Description) -> Value {
        let mut success = json!({"description": if gives.items { SUCCESSES } else { "success" }});
        if *verb != Method::HEAD {
            success["content"] = gives.content();
        }
        let mut answers = Map::from_iter([("200".to_owned(), success)]);
        for status in self.errors.keys() {
            let target = format!("#/components/responses/{status}");
            answers.entry(status.clone()).or_insert_with(|| json!({"$ref": target}));
        }
        answers.into()
    }

    pub(crate) fn finish(self, schemas: Schemas) -> Value {
        let mut document = self.head;
        document["paths"] = self.paths.into();
        document["components"] = json!({"responses": self.errors});
        let schemas = schemas.name_in(&mut document);
        document["components"]["schemas"] = schemas.into();
        document
    }
}

/// The path as OpenAPI writes it, where a parameter that takes the rest of the path looks as any other.
fn path(route: &Route) -> String {
    let piece = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Param(name) | Piece::Rest(name) => format!("{{{name}}}"),
    };
    route.pieces().map(piece).collect()
}
