//! A client of many hosts as the connection to one instance.

use std::mem;

use http::Uri;
use http::uri::{Authority, InvalidUri, PathAndQuery, Scheme};
use kit_base::{Endpoint, Instance};

/// An endpoint on `http` types whose requests go to one instance: their URIs get its scheme and its address, whatever they had.
/// For clients of many hosts, such as `reqwest::Client` in a [`FromHttpService`](kit_base::FromHttpService) and hyper-util's;
/// kit's own clients and tonic's channels need none.
///
/// A `host` header of the request stays.
///
/// ```
/// use kit_base::{FromHttpService, Instance};
/// use kit_lb::{At, ByCause, Endpointer, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let client = reqwest::Client::new();
/// let instancer = kit_lb::Fixed::at(["10.0.0.7:8081"]);
/// let set = Endpointer::with(Settings::new(), ByCause, instancer, move |instance: &Instance| {
///     At::new(instance, FromHttpService::<_, reqwest::Request, reqwest::Body>::new(client.clone()))
/// });
/// assert!(set.snapshot().members[0].connected);
/// // `set.balancer()` is an endpoint for `http::Request<impl Into<reqwest::Body>>`, of which the path alone counts.
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct At<E> {
    scheme: Scheme,
    authority: Authority,
    inner: E,
}

impl<E> At<E> {
    /// The requests of this endpoint at this instance: over `https` if that is its scheme, else over `http`.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(instance: &Instance, inner: E) -> Result<Self, InvalidUri> {
        let secure = instance.scheme.as_deref() == Some("https");
        let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Self { scheme, authority: instance.address.parse()?, inner })
    }

    fn uri(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // With all three of them it is one.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl<B: Send, E: Endpoint<http::Request<B>>> Endpoint<http::Request<B>> for At<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, mut request: http::Request<B>) -> Result<E::Response, E::Error> {
        let uri = self.uri(mem::take(request.uri_mut()));
        *request.uri_mut() = uri;
        self.inner.call(request).await
    }
}
