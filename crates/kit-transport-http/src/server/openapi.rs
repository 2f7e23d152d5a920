//! The OpenAPI document of a server: given out, or served.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use kit_base::{Endpoint, Error, Operation, Request, Response};
use serde_json::Value;

use super::HttpServer;
use super::handler::{Takes, Unit};
use super::routes::Entry;
use crate::openapi::{Schemas, Writer};
use crate::{BuildError, OpenApi, Received, Route};

impl<C> HttpServer<C> {
    /// Serves an OpenAPI document of all that is bound, at `GET /openapi.json` unless [`OpenApi::path`] says otherwise. It
    /// is made once, by [`build`](Self::build).
    ///
    /// ```
    /// use kit_base::{Endpoint, Error, Operation, Request, Response};
    /// use kit_transport_http::{HttpServer, Json, OpenApi};
    ///
    /// /// Which user.
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Which {
    ///     /// The number of the user.
    ///     id: u32,
    ///     #[serde(default)]
    ///     fields: Vec<String>,
    /// }
    ///
    /// #[derive(serde::Serialize, schemars::JsonSchema)]
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// struct Look;
    ///
    /// impl Endpoint<Request<Which>> for Look {
    ///     type Response = Response<User>;
    ///     type Error = Error;
    ///
    ///     async fn call(&self, request: Request<Which>) -> Result<Response<User>, Error> {
    ///         Ok(Response::new(User { name: format!("user {}", request.message().id) }))
    ///     }
    /// }
    ///
    /// let server = HttpServer::with_codec(Json::new().described())
    ///     .route("look", "GET /users/{id}")
    ///     .endpoint(Operation::new("users", "look"), Look);
    ///
    /// let openapi = OpenApi::new("users", "1.0.0");
    /// let document = server.openapi_document(&openapi)?;
    /// let look = &document["paths"]["/users/{id}"]["get"];
    /// assert_eq!(look["operationId"], "users.look");
    /// assert_eq!(look["parameters"][0]["description"], "The number of the user.");
    /// assert_eq!(look["parameters"][1]["schema"]["type"], "array");
    /// let user = &look["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    /// assert_eq!(user, "#/components/schemas/User");
    ///
    /// let service = server.openapi(openapi).build()?; // GET /openapi.json
    /// # let _ = service;
    /// # Ok::<(), kit_transport_http::BuildError>(())
    /// ```
    #[must_use]
    pub fn openapi(mut self, openapi: OpenApi) -> Self {
        self.openapi = Some(openapi);
        self
    }

    /// The OpenAPI document of all that is bound so far: for a file, or a check in CI.
    ///
    /// # Errors
    /// A route is malformed.
    pub fn openapi_document(&self, openapi: &OpenApi) -> Result<Value, BuildError> {
        Ok(self.document(openapi, &self.chosen_routes()?))
    }

    fn document(&self, openapi: &OpenApi, routes: &[Route]) -> Value {
        let mut schemas = Schemas::new();
        let mut writer = Writer::new(openapi, &mut schemas);
        for (entry, route) in self.entries.iter().zip(routes) {
            let described = entry.handler.describe(&mut schemas);
            writer.add(&entry.operation, route, described, &mut schemas);
        }
        openapi.amended(writer.finish(schemas))
    }

    /// The route of the document, if it is to be served.
    pub(super) fn served_document(&self, routes: &[Route]) -> Result<Option<(Route, Entry)>, BuildError> {
        let Some(openapi) = &self.openapi else { return Ok(None) };
        let wrong = |error| BuildError::new("the OpenAPI document has no valid path").because(error);
        let route = format!("GET {}", openapi.path).parse().map_err(wrong)?;
        let document = Document(self.document(openapi, routes).to_string().into());
        let handler = Takes::Whole(Arc::new(Unit::new(document, Arc::new(read_nothing), Arc::new(write_json))));
        let operation = Operation::new("openapi", "document");
        Ok(Some((route, Entry { operation, prefix: String::new(), handler })))
    }
}

struct Document(Bytes);

impl Endpoint<Request<()>> for Document {
    type Response = Response<Bytes>;
    type Error = Error;

    async fn call(&self, _: Request<()>) -> Result<Response<Bytes>, Error> {
        Ok(Response::new(self.0.clone()))
    }
}

fn read_nothing(_: &Received<'_>) -> Result<(), Error> {
    Ok(())
}

fn write_json(_: &Received<'_>, outcome: Result<Response<Bytes>, Error>) -> Result<http::Response<Bytes>, Error> {
    let mut answer = http::Response::new(outcome?.into_message());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
