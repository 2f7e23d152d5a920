//! The connections of a client: one or a few, over HTTP/2, made when they are needed and again when they break.

use std::fmt;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit_base::{Endpoint, FromService, ServiceError};
use tonic::body::Body;

/// Connections over HTTP/2, made when they are needed and again when they break. An endpoint on `http` types. Clones share
/// them.
#[derive(Clone)]
pub struct Connections {
    client: FromService<Client<HttpConnector, Body>>,
}

impl Connections {
    /// One connection without TLS.
    #[must_use]
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client: FromService::new(client) }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint<Request<Body>> for Connections {
    type Response = Response<Incoming>;
    type Error = ServiceError<Error>;

    fn call(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, ServiceError<Error>>> + Send {
        self.client.call(request)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
