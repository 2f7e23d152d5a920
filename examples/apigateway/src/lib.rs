//! Go kit's apigateway: addsvc, called over gRPC, and stringsvc, called over HTTP, behind one HTTP port; their instances are
//! what discovery tells of.
//!
//! | route | goes to | business error |
//! |---|---|---|
//! | `POST /addsvc/sum`, `POST /addsvc/concat` | addsvc, over gRPC | `400 {"error": "can't sum two zeroes"}` |
//! | `GET`, `POST /stringsvc/uppercase`, `/stringsvc/count` | stringsvc, over HTTP by a `GET` with a JSON body | `200 {"v": "", "err": "empty string"}` |
//! | `GET /openapi.json` | the document of the routes above | |
//!
//! A `grpc-timeout` of the caller goes along, and so does the request id. Where a service has no instance the answer is 503 with
//! problem details, whose text begins with Go kit's `no endpoints available`. (Over Consul a set that is suddenly empty is doubted
//! for 10 s; so long the text is that nobody can be connected to.)
//!
//! # By hand
//!
//! Each in a terminal of its own; the services and the gateway tell what to try:
//!
//! ```text
//! consul agent -dev
//! cargo run -p addsvc -- --consul-addr 127.0.0.1:8500
//! cargo run -p stringsvc1 -- --consul-addr 127.0.0.1:8500
//! cargo run -p apigateway
//! curl -H 'content-type: application/json' -d '{"a":1,"b":2}' http://127.0.0.1:8000/addsvc/sum
//! ```
//!
//! A second addsvc on the same machine needs other ports; 0 is one that is free:
//!
//! ```text
//! cargo run -p addsvc -- --consul-addr 127.0.0.1:8500 \
//!     --http-addr 127.0.0.1:0 --grpc-addr 127.0.0.1:0 --debug-addr 127.0.0.1:0
//! ```
//!
//! # Differences from Go kit
//!
//! - No instances is 503, which says that trying again may help; Go kit answers 500.
//! - addsvc's own errors are 400 as addsvc gives them; Go kit's gateway makes them 500.
//! - A call is taken to another instance only where it surely has not begun. (Go kit's gateway means to repeat any call that
//!   failed, three times within 500 ms, and for addsvc never does.)

mod backends;

use http::StatusCode;
use kit_transport_http::{BuildError, HttpServer, HttpService, Json, OpenApi};

pub use backends::{AddClient, addsvc, stringsvc};

/// The gateway to these services, wherever they are.
///
/// ```
/// use addsvc::AddEndpoints;
/// use kit_lb::Registry;
/// use stringsvc1::StringServiceEndpoints;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Or what Consul tells of.
/// let add = apigateway::addsvc(Registry::new());
/// let strings = apigateway::stringsvc(Registry::new());
/// let service = apigateway::gateway(
///     AddEndpoints::connect(&add.balancer()),
///     StringServiceEndpoints::connect(&strings.balancer()),
/// )?;
/// assert!(add.snapshot().members.is_empty()); // who serves, and how their calls went
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// None that a user could cause: the routes are fixed.
pub fn gateway(add: impl addsvc::Add, strings: impl stringsvc1::StringService) -> Result<HttpService, BuildError> {
    let openapi = OpenApi::new("apigateway", env!("CARGO_PKG_VERSION"))
        .description(env!("CARGO_PKG_DESCRIPTION"))
        .error::<addsvc::Failure>(StatusCode::BAD_REQUEST, "application/json");
    let server = HttpServer::with_codec(Json::new().body_only().described())
        .error_encoder(addsvc::encode_error)
        .openapi(openapi)
        .request_id();
    let server = addsvc::AddEndpoints::new(add).bind(server.prefix("/addsvc"));
    stringsvc1::StringServiceEndpoints::new(strings).bind(server.prefix("/stringsvc")).build()
}
