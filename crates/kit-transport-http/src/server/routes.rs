//! The routes: which handler a request goes to, and the refusals where there is none.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use kit_base::{Endpoint, Error, Operation};
use percent_encoding::percent_decode_str;

use super::answer::Refused;
use super::handler::Takes;
use super::{Body, Settings};
use crate::codec::MALFORMED;
use crate::pieces::BoxError;
use crate::{BuildError, Params, RequestInfo, Route};

/// An operation that was bound, before it has a route.
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) prefix: String,
    pub(super) handler: Takes,
}

pub(super) struct Bound {
    pub(super) route: Route,
    pub(super) operation: Operation,
    pub(super) handler: Takes,
}

/// What answers a request, and what its route takes from path and query.
pub(super) struct Found<'a> {
    pub(super) bound: &'a Bound,
    pub(super) params: Params,
}

/// All routes of a server: an endpoint on `http` types, for any body. [`HttpService`](crate::HttpService) is the same as
/// a tower service.
///
/// Clones share everything. *Cancellation:* dropping the future of a call drops that of the endpoint, and runs the
/// finalizers.
#[derive(Clone)]
pub struct Routes {
    shared: Arc<Shared>,
}

struct Shared {
    router: matchit::Router<usize>,
    /// By path: what is bound there, verb by verb.
    paths: Vec<Vec<Bound>>,
    settings: Settings,
}

impl Routes {
    pub(super) fn new(
        routed: impl IntoIterator<Item = (Route, Entry)>,
        settings: Settings,
    ) -> Result<Self, BuildError> {
        let mut paths: Vec<Vec<Bound>> = Vec::new();
        let mut index = HashMap::new();
        let mut router = matchit::Router::new();
        for (route, Entry { operation, handler, .. }) in routed {
            let next = paths.len();
            let at = *index.entry(route.path().to_owned()).or_insert(next);
            if at == next {
                let clash =
                    |error| BuildError::new(format!("{operation} cannot have the route {route}")).because(error);
                router.insert(route.path(), next).map_err(clash)?;
                paths.push(Vec::new());
            }
            if let Some(other) = paths[at].iter().find(|other| overlap(&other.route, &route)) {
                let what = format!("{} and {operation} have the same route {route}", other.operation);
                return Err(BuildError::new(what));
            }
            paths[at].push(Bound { route, operation, handler });
        }
        Ok(Self { shared: Arc::new(Shared { router, paths, settings }) })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The paths, for a host that routes by itself.
    #[cfg(feature = "axum")]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.shared.paths.iter().filter_map(|bound| bound.first()).map(|bound| bound.route.path())
    }

    /// What is bound to the path and verb.
    pub(super) fn find(&self, info: &RequestInfo) -> Result<Found<'_>, Refused> {
        let Shared { router, paths, .. } = &*self.shared;
        let path = info.uri.path();
        let matched = router.at(path).map_err(|_| {
            let error = Error::not_found(format!("no route for {path:?}")).with_reason("NO_ROUTE");
            Refused::new(StatusCode::NOT_FOUND, error)
        })?;
        let bound = &paths[*matched.value];
        let by_verb = |verb: &Method| bound.iter().find(|bound| bound.route.names_verb(verb));
        let as_get = || if info.method == Method::HEAD { by_verb(&Method::GET) } else { None };
        let found = by_verb(&info.method).or_else(as_get).ok_or_else(|| wrong_verb(bound, info))?;
        let mut params = Params::new();
        for (name, value) in matched.params.iter() {
            let value = percent_decode_str(value).decode_utf8().map_err(|_| {
                let error = Error::invalid_argument(format!("parameter {name:?} is {value:?}, which is not UTF-8"));
                Refused::new(StatusCode::BAD_REQUEST, error.with_reason(MALFORMED))
            })?;
            params.push((name.to_owned(), value.into_owned()));
        }
        let from_path = params.len();
        if let Some(query) = info.uri.query() {
            // The parser would put replacement characters in their place.
            percent_decode_str(query).decode_utf8().map_err(|_| {
                let error = Error::invalid_argument(format!("query {query:?} is not UTF-8")).with_reason(MALFORMED);
                Refused::new(StatusCode::BAD_REQUEST, error)
            })?;
            for (name, value) in form_urlencoded::parse(query.as_bytes()) {
                let in_path = params[..from_path].iter().any(|(known, _)| *known == name);
                if !in_path && found.route.takes_from_query(&info.method, &name) {
                    params.push((name.into_owned(), value.into_owned()));
                }
            }
        }
        Ok(Found { bound: found, params })
    }
}

/// Whether two routes of one path answer one verb.
fn overlap(one: &Route, other: &Route) -> bool {
    match (one.verbs(), other.verbs()) {
        ([], _) | (_, []) => true,
        (verbs, others) => verbs.iter().any(|verb| others.contains(verb)),
    }
}

fn wrong_verb(bound: &[Bound], info: &RequestInfo) -> Refused {
    let mut verbs: Vec<&str> = bound.iter().flat_map(|bound| bound.route.verbs()).map(Method::as_str).collect();
    if verbs.contains(&"GET") && !verbs.contains(&"HEAD") {
        verbs.push("HEAD");
    }
    let verbs = verbs.join(", ");
    let error = Error::invalid_argument(format!("{} is not allowed here, want one of: {verbs}", info.method));
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, error.with_reason("METHOD_NOT_ALLOWED")).allowing(&verbs)
}

impl<B> Endpoint<Request<B>> for Routes
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;

    fn call(&self, request: Request<B>) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send {
        self.answer(request)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.shared.paths.iter().flatten();
        f.debug_map().entries(bound.map(|bound| (bound.route.to_string(), bound.operation.to_string()))).finish()
    }
}
