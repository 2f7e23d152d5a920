//! The clients that a proxy calls backends by: hyper-util's, and reqwest.

use std::fmt;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit_base::{Endpoint, Error, FromService, ServiceError};

use super::ProxyBody;
use super::failure::{broken_upload, unanswered};
use super::upload::Upload;

/// The client that [`ReverseProxy::new`](crate::ReverseProxy::new) calls the backend by: hyper-util's, over plain TCP. It
/// sends what it is given, byte for byte, and adds nothing; it follows no redirects and reads no environment.
///
/// Connecting takes at most 5 s. Up to 100 connections are kept for 30 s after their last use: less than the 60 to 75 s of common
/// load balancers and servers, since the side that sends should give up first. The client knows at once when a server has
/// closed one; a request that meets the closing fails under the reason `BAD_GATEWAY`.
///
/// Its errors are what layers over it judge: no connection is `Unavailable` with the origin `NotSent`, so that it may be
/// tried again; a client's body that breaks off is the client's own doing, and no failure of the backend.
///
/// Clones share connections.
#[derive(Clone)]
pub struct Backend {
    client: FromService<Client<HttpConnector, ProxyBody>>,
}

impl Backend {
    /// A client that speaks HTTP/1.1.
    #[must_use]
    pub fn new() -> Self {
        Self::over(&Self::builder())
    }

    /// A client that speaks HTTP/2 without asking, as gRPC servers do: one connection for all.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2() -> Self {
        Self::over(Self::builder().http2_only(true))
    }

    fn builder() -> Builder {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(100);
        builder
    }

    fn over(builder: &Builder) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        Self { client: FromService::new(builder.build(connector)) }
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl<B: Into<ProxyBody> + Send> Endpoint<Request<B>> for Backend {
    type Response = Response<Incoming>;
    type Error = Error;

    async fn call(&self, request: Request<B>) -> Result<Response<Incoming>, Error> {
        let upload = request.extensions().get::<Upload>().cloned();
        self.client.call(request.map(Into::into)).await.map_err(|error| match error {
            ServiceError::Inner(error) => broken_upload(upload.as_ref()).unwrap_or_else(|| {
                let not_sent = error.is_connect();
                unanswered(error.into(), not_sent)
            }),
            ServiceError::Refused(error) => error,
        })
    }
}

#[cfg(feature = "client")]
pub use by_reqwest::ReqwestBackend;

#[cfg(feature = "client")]
mod by_reqwest {
    //! The same over a reqwest client of the user's.

    use http::{Request, Response};
    use kit_base::{Endpoint, Error, FromHttpService, ServiceError};

    use super::{ProxyBody, Upload, broken_upload, unanswered};
    use crate::proxy::failure::MALFORMED;

    /// A `reqwest::Client` as the client of a proxy; see [`ReverseProxy::with_client`](crate::ReverseProxy::with_client).
    #[derive(Clone, Debug)]
    pub struct ReqwestBackend {
        client: FromHttpService<reqwest::Client, reqwest::Request, reqwest::Body>,
    }

    impl ReqwestBackend {
        /// An endpoint from this client. Turn its redirects off, and its decompression.
        #[must_use]
        pub fn new(client: reqwest::Client) -> Self {
            Self { client: FromHttpService::new(client) }
        }
    }

    impl<B: Into<ProxyBody> + Send> Endpoint<Request<B>> for ReqwestBackend {
        type Response = Response<reqwest::Body>;
        type Error = Error;

        async fn call(&self, request: Request<B>) -> Result<Response<reqwest::Body>, Error> {
            if goes_elsewhere(request.uri().path()) {
                let error = Error::invalid_argument("the path has a segment of dots or a backslash");
                return Err(error.with_reason(MALFORMED).with_origin(kit_base::Origin::LocalRefusal));
            }
            let upload = request.extensions().get::<Upload>().cloned();
            self.client.call(request.map(Into::into)).await.map_err(|error| match error {
                ServiceError::Inner(error) => broken_upload(upload.as_ref()).unwrap_or_else(|| {
                    let not_sent = error.is_connect() || error.is_builder();
                    unanswered(error.into(), not_sent)
                }),
                ServiceError::Refused(error) => error,
            })
        }
    }

    /// Whether a URL cannot hold the path: it would go up, away from what was checked.
    fn goes_elsewhere(path: &str) -> bool {
        let is_dots = |segment: &str| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..");
        path.contains('\\') || (path.contains(['.', '%']) && path.split('/').any(is_dots))
    }
}
