//! The live sets of the services behind the gateway: a client for each instance that discovery tells of.

use addsvc::Replies;
use kit_base::{Instance, Instancer};
use kit_lb::Endpointer;
use kit_transport_grpc::{Connections, GrpcClient, Prost};
use kit_transport_http::HttpClient;

/// A client of one addsvc. [`AddEndpoints::connect`](addsvc::AddEndpoints::connect) makes the service of it, and of a balancer
/// over many.
pub type AddClient = GrpcClient<Connections, (Prost, Replies)>;

/// The instances of addsvc, called over gRPC.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn addsvc(instancer: impl Instancer + 'static) -> Endpointer<AddClient> {
    Endpointer::new(instancer, |instance| {
        Ok::<_, kit_transport_grpc::BuildError>(GrpcClient::new(url(instance))?.codec((Prost, Replies)))
    })
}

/// The instances of stringsvc, called over HTTP.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn stringsvc(instancer: impl Instancer + 'static) -> Endpointer<HttpClient> {
    Endpointer::new(instancer, |instance| stringsvc1::http_client(&url(instance)))
}

/// Whoever registers with another scheme than `http` is not called: the gateway brings no TLS.
fn url(instance: &Instance) -> String {
    format!("{}://{}", instance.scheme.as_deref().unwrap_or("http"), instance.address)
}
