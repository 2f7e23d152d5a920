//! Go kit's first example, stringsvc1, in one file: `cargo run -p stringsvc1`.

use std::io::Write as _;

use bytes::Bytes;
use clap::Parser;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use kit_endpoint::{Context, Error, Kind, service};
use kit_serve::Server;
use kit_transport_http::{BuildError, HttpServer, HttpService, Json, OpenApi};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two operations on strings.
#[service(name = "stringsvc")]
trait StringService {
    /// The string in capitals. An empty one is an error, and travels inside the reply.
    #[idempotent]
    #[http("GET,POST /uppercase")]
    async fn uppercase(&self, cx: &Context, req: StringRequest) -> Result<UppercaseReply, Error>;

    /// The length of the string in bytes.
    #[idempotent]
    #[http("GET,POST /count")]
    async fn count(&self, cx: &Context, req: StringRequest) -> Result<CountReply, Error>;
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct StringRequest {
    s: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct UppercaseReply {
    v: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CountReply {
    v: usize,
}

struct Strings;

impl StringService for Strings {
    async fn uppercase(&self, _: &Context, req: StringRequest) -> Result<UppercaseReply, Error> {
        let err = req.s.is_empty().then_some("empty string");
        Ok(UppercaseReply { v: req.s.to_uppercase(), err })
    }

    async fn count(&self, _: &Context, req: StringRequest) -> Result<CountReply, Error> {
        Ok(CountReply { v: req.s.len() })
    }
}

/// The service over HTTP; as strict as one should be, or as lenient as the original.
fn http_service(go_compat: bool) -> Result<HttpService, BuildError> {
    let endpoints = StringServiceEndpoints::new(Strings);
    let openapi = OpenApi::new("stringsvc1", env!("CARGO_PKG_VERSION"));
    if !go_compat {
        return endpoints.bind(HttpServer::with_codec(Json::new().body_only().described()).openapi(openapi)).build();
    }
    let openapi = openapi.without_problem_details().error::<String>(StatusCode::INTERNAL_SERVER_ERROR, "text/plain");
    let server = HttpServer::with_codec(Json::lenient().body_only().described())
        .openapi(openapi)
        .route("uppercase", "ANY /uppercase")
        .route("count", "ANY /count")
        .error_encoder(go_error);
    endpoints.bind(server).build()
}

/// Go kit's default: whatever fails is 500 with the error's text, as far as that is meant for peers.
fn go_error(error: &Error) -> Option<Response<Bytes>> {
    let mut answer = Response::new(Bytes::from(error.peer_message().to_owned()));
    *answer.status_mut() = match error.kind() {
        Kind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(answer)
}

/// Capitals and lengths of strings, over HTTP.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8090")]
    http_addr: String,
    /// Reads and answers as the Go original does: any verb, the first JSON value counts, what is malformed is 500.
    #[arg(long)]
    go_compat: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    let server = Server::bind(&flags.http_addr).await?;
    let addr = server.local_addr();
    // From here on a signal is a clean end: nobody can have read the address before.
    let signal = kit_serve::signal()?;
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        r#"stringsvc1: http on {addr}; try
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/uppercase
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/count"#
    );
    server.serve(http_service(flags.go_compat)?, signal).await;
    Ok(())
}
