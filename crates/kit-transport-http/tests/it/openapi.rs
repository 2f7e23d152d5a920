//! OpenAPI documents: what they say of routes, codecs and messages, and that they are sound.

mod errors;
mod judges;
mod names;
mod parts;
mod rest;
mod served;
mod sound;
mod streams;

use kit_base::{Error, Request, Response};
use kit_transport_http::{DescribedJson, HttpServer, Json, OpenApi};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{By, op};
use sound::sound;

/// A sound document of the server.
fn document<C>(server: &HttpServer<C>) -> Value {
    let document = server.openapi_document(&OpenApi::new("test", "1.2.3")).unwrap();
    sound(&document);
    document
}

fn described() -> HttpServer<DescribedJson> {
    HttpServer::with_codec(Json::new().described())
}

async fn nothing(_: Request<()>) -> Result<Response<()>, Error> {
    Ok(Response::new(()))
}

/// Binds a method that takes `Req` and answers `Res`, which nobody calls.
fn takes<Req, Res>(server: HttpServer<DescribedJson>, method: &'static str, route: &str) -> HttpServer<DescribedJson>
where
    Req: DeserializeOwned + JsonSchema + Send + 'static,
    Res: Serialize + JsonSchema + Send + 'static,
{
    let refuse = By(async |_: Request<Req>| Err::<Response<Res>, _>(Error::unimplemented("nobody calls this")));
    server.route(method, route).endpoint(op(method), refuse)
}

/// The operation of a server that has this one route only.
fn operation<Req>(route: &str) -> Value
where
    Req: DeserializeOwned + JsonSchema + Send + 'static,
{
    let document = document(&takes::<Req, Reply>(described(), "do", route));
    let path = document["paths"].as_object().unwrap().values().next().unwrap();
    path.as_object().unwrap().values().next().unwrap().clone()
}

/// What the operation takes, in short: `path id*: integer`, `query tag: array`, `body* application/json: name*`. A star is
/// for what is required.
fn shape(operation: &Value) -> Vec<String> {
    let star = |required: &Value| if required == true { "*" } else { "" };
    let mut parts = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (place, name) = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
        let kind = parameter["schema"]["type"].as_str().unwrap_or("any");
        parts.push(format!("{place} {name}{}: {kind}", star(&parameter["required"])));
    }
    if let Some(body) = operation.get("requestBody") {
        for (media_type, media) in body["content"].as_object().unwrap() {
            let schema = &media["schema"];
            let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let fields =
                fields.keys().map(|name| format!("{name}{}", star(&required.contains(&name.as_str().into()).into())));
            let what = match schema["$ref"].as_str() {
                Some(target) => target.trim_start_matches("#/components/schemas/").to_owned(),
                None => fields.collect::<Vec<_>>().join(", "),
            };
            parts.push(format!("body{} {media_type}: {what}", star(&body["required"])));
        }
    }
    parts
}

#[derive(Serialize, JsonSchema)]
struct Reply {
    ok: bool,
}

/// What may be changed of a user.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Change {
    /// Whose.
    id: u32,
    /// The new name.
    name: String,
    nick: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}
