//! The routes: which handler a request goes to, and the answers where there is none.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Context, Deadline, Endpoint, Error, Event, Operation, Timeout};
use percent_encoding::percent_decode_str;

use super::handler::{Call, Handler};
use super::hooks::{Finalizing, now};
use super::{Body, Settings, body};
use crate::codec::{MALFORMED, UNSUPPORTED};
use crate::{BuildError, Params, RequestInfo, Route};

/// An operation that was bound, before it has a route.
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) prefix: String,
    pub(super) handler: Arc<dyn Handler>,
}

pub(super) struct Bound {
    pub(super) route: Route,
    pub(super) operation: Operation,
    pub(super) handler: Arc<dyn Handler>,
}

/// All routes of a server: an endpoint on `http` types, for any body. [`HttpService`](crate::HttpService) is the same as a tower service.
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

/// A request that the server refuses by itself, under a status that says more than the kind.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: Error,
    allow: Option<HeaderValue>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, error: Error) -> Self {
        Self { status, error, allow: None }
    }
}

impl Routes {
    pub(super) fn new(routed: Vec<(Route, Entry)>, settings: Settings) -> Result<Self, BuildError> {
        let mut paths: Vec<Vec<Bound>> = Vec::new();
        let mut index = HashMap::new();
        let mut router = matchit::Router::new();
        for (route, Entry { operation, handler, .. }) in routed {
            let next = paths.len();
            let at = *index.entry(route.path().to_owned()).or_insert(next);
            if at == next {
                let clash = |error| BuildError::new(format!("{operation} cannot have the route {route}")).because(error);
                router.insert(route.path(), next).map_err(|error| clash(error.to_string()))?;
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

    /// The paths, for a host that routes by itself.
    #[cfg(feature = "axum")]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.shared.paths.iter().filter_map(|bound| bound.first()).map(|bound| bound.route.path())
    }

    /// What is bound to the path and verb, and what the route takes from path and query.
    fn find(&self, info: &RequestInfo) -> Result<(&Bound, Params), Refused> {
        let Shared { router, paths, .. } = &*self.shared;
        let path = info.uri.path();
        let not_found = || Refused::new(StatusCode::NOT_FOUND, Error::not_found(format!("no route for {path:?}")));
        let matched = router.at(path).map_err(|_| not_found())?;
        let bound = &paths[*matched.value];
        let Some(found) = bound.iter().find(|bound| bound.route.answers(&info.method)) else {
            return Err(wrong_verb(bound, info));
        };
        let mut params = Params::new();
        for (name, value) in matched.params.iter() {
            let value = percent_decode_str(value).decode_utf8().map_err(|_| {
                let error = Error::invalid_argument(format!("parameter {name:?} is {value:?}, which is not UTF-8"));
                Refused::new(StatusCode::BAD_REQUEST, error.with_reason(MALFORMED))
            })?;
            params.push((name.to_owned(), value.into_owned()));
        }
        let from_path = params.len();
        for (name, value) in form_urlencoded::parse(info.uri.query().unwrap_or_default().as_bytes()) {
            let in_path = params[..from_path].iter().any(|(known, _)| *known == name);
            if !in_path && found.route.takes_from_query(&info.method, &name) {
                params.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok((found, params))
    }

    async fn answer<B: HttpBody>(&self, request: Request<B>) -> Response<Bytes> {
        let settings = &self.shared.settings;
        let started = now();
        let (head, body) = request.into_parts();
        let http::request::Parts { method, uri, version, headers, extensions, .. } = head;
        let info = RequestInfo { method, uri, version };
        let context = Context::received(headers, extensions);
        let (Bound { operation, handler, .. }, params) = match self.find(&info) {
            Ok(found) => found,
            Err(refused) => return settings.refuse(&context, refused),
        };
        let deadline = deadline(&context, started);
        let mut context = context.with_operation(operation.clone());
        if let Ok(Some(deadline)) = deadline {
            context = context.with_deadline(deadline);
        }
        let mut finalizing = Finalizing::new(&settings.hooks, started, context);
        for hook in &settings.hooks.before {
            hook(&mut finalizing.context, &info);
        }
        let context = finalizing.context.clone();
        let outcome = match deadline {
            Err(error) => Err(Refused::new(StatusCode::BAD_REQUEST, error)),
            Ok(_) => settings.serve(&**handler, info, params, body, context).await,
        };
        let answer = match outcome {
            Ok(mut answer) => {
                for hook in &settings.hooks.after {
                    hook(&finalizing.context, answer.headers_mut());
                }
                answer
            }
            Err(refused) => settings.refuse(&finalizing.context, refused),
        };
        finalizing.finish(&answer);
        answer
    }
}

impl Settings {
    /// Reads the body and calls the handler, within the deadline.
    async fn serve<B: HttpBody>(
        &self,
        handler: &dyn Handler,
        info: RequestInfo,
        params: Params,
        body: B,
        context: Context,
    ) -> Result<Response<Bytes>, Refused> {
        let deadline = context.deadline();
        let work = async {
            let body = body::read(body, self.body_limit, self.body_timeout).await?;
            handler.handle(Call { info, params, body, context }).await.map_err(Refused::from)
        };
        let Some(deadline) = deadline else { return work.await };
        match tokio::time::timeout_at(deadline.instant().into(), work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::deadline_exceeded("the deadline of the call has passed").into()),
        }
    }

    /// The answer to an error, after the error handlers have seen it.
    fn refuse(&self, context: &Context, refused: Refused) -> Response<Bytes> {
        let Refused { status, error, allow } = refused;
        if error.reason() == Some("PANIC") {
            self.observer.observe(&Event::new("http_server", "panicked", &context.operation().to_string()));
        }
        for hook in &self.hooks.error_handlers {
            hook(context, &error);
        }
        let mut answer = match self.hooks.error_encoder.as_ref().and_then(|encode| encode(&error)) {
            Some(answer) => answer,
            None => error.to_http_answer_as(status),
        };
        if let Some(allow) = allow {
            answer.headers_mut().insert(ALLOW, allow);
        }
        answer
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match error.reason() {
            Some(UNSUPPORTED) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => error.kind().http_status(),
        };
        Self::new(status, error)
    }
}

/// The deadline that the caller gave, by whoever serves or in the header.
fn deadline(context: &Context, now: Instant) -> Result<Option<Deadline>, Error> {
    if let Some(deadline) = context.extensions().get::<Deadline>() {
        return Ok(Some(*deadline));
    }
    let Some(header) = context.inbound().get(&GRPC_TIMEOUT) else { return Ok(None) };
    let text = String::from_utf8_lossy(header.as_bytes());
    let timeout: Timeout = text.parse().map_err(|error| {
        Error::invalid_argument(format!("header {GRPC_TIMEOUT}: {error}")).with_reason(MALFORMED)
    })?;
    Ok(Some(Deadline::after(now, timeout)))
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
    let mut refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, error.with_reason("METHOD_NOT_ALLOWED"));
    refused.allow = HeaderValue::try_from(verbs).ok();
    refused
}

impl<B> Endpoint<Request<B>> for Routes
where
    B: HttpBody<Data: Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(&self, request: Request<B>) -> Result<Response<Body>, Infallible> {
        Ok(self.answer(request).await.map(Body::from))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.shared.paths.iter().flatten();
        f.debug_map().entries(bound.map(|bound| (bound.route.to_string(), bound.operation.to_string()))).finish()
    }
}
