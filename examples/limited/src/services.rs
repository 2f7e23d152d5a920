//! Both services, each behind a limit by one line.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::routing::get;
use kit_ratelimit::{Guard, Keyed, Network, Quota, RateLimit, Tower, nonzero};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

/// A page for all callers together, and one by client.
pub fn web() -> Router {
    // Names each caller by its network. Behind a proxy that is the proxy's; the page of `Keyed` has what to do there.
    let client =
        |request: &Request<Body>| Some(Network::of(request.extensions().get::<ConnectInfo<SocketAddr>>()?.ip()));
    let each = Keyed::by(Quota::per_minute(nonzero!(5)), client).named("client").with_headers();

    // A layer of a router goes over the routes before it, and that of a route over that alone.
    Router::new()
        .route("/", get(async || "for all\n"))
        .layer(Tower::new(Guard::new(RateLimit::new(Quota::per_second(nonzero!(5))))).answered())
        .route("/mine", get(async || "for you\n").layer(Tower::new(Guard::new(each)).answered()))
}

/// Serves the page, until the future is dropped.
///
/// # Errors
/// None: it goes on.
pub async fn serve_web(listener: TcpListener) -> std::io::Result<()> {
    axum::serve(listener, web().into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Serves gRPC's health service, until the future is dropped.
///
/// # Errors
/// The system lets no connection in.
pub async fn serve_rpc(listener: TcpListener) -> Result<(), tonic::transport::Error> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    Server::builder()
        .layer(Tower::new(Guard::new(RateLimit::new(Quota::per_second(nonzero!(5))))).answered())
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
}
