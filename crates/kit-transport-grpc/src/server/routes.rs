//! The methods of a server: which handler a call goes to.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body as HttpBody;
use kit_base::{Endpoint, Error, Operation};

use super::elsewhere::{Added, Beside};
use super::foreign::{Foreign, RequestBody};
use super::handler::Takes;
use super::message::BoxError;
use super::{Body, Settings, health};
use crate::BuildError;
use crate::path::path_of;

/// An operation that was bound.
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) handler: Takes,
}

/// All methods of a server: an endpoint on `http` types, for any body. [`GrpcService`](crate::GrpcService) is the same as a
/// tower service.
///
/// Clones share everything. *Cancellation:* dropping the future of a call, or the body of its answer, drops what the endpoint
/// was doing, and runs the finalizers.
#[derive(Clone)]
pub struct Routes {
    shared: Arc<Shared>,
}

struct Shared {
    methods: HashMap<String, Entry>,
    services: BTreeSet<String>,
    /// The services that were added, by name.
    added: HashMap<&'static str, Added>,
    fallback: Option<Box<dyn Foreign<RequestBody>>>,
    settings: Settings,
}

impl Routes {
    pub(super) fn new(entries: Vec<Entry>, beside: Beside, settings: Settings) -> Result<Self, BuildError> {
        let mut methods: HashMap<String, Entry> = HashMap::new();
        let mut services = BTreeSet::new();
        for entry in entries {
            let path = insert(&mut methods, entry)?;
            services.insert(service_of(&path).to_owned());
        }
        let mut added = HashMap::new();
        for service in beside.added {
            let name = service.name;
            services.insert(name.to_owned());
            if added.insert(name, service).is_some() {
                return Err(BuildError::new(format!("the service {name} was added twice")));
            }
        }
        if let Some(readiness) = beside.readiness {
            for entry in health::entries(readiness, services.clone()) {
                let path = insert(&mut methods, entry)?;
                services.insert(service_of(&path).to_owned());
            }
        }
        let mut fallbacks = beside.fallbacks.into_iter();
        let fallback = fallbacks.next();
        if fallbacks.next().is_some() {
            return Err(BuildError::new("there can be only one fallback, and a second one was given"));
        }
        Ok(Self { shared: Arc::new(Shared { methods, services, added, fallback, settings }) })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// What is bound to the path.
    pub(super) fn find(&self, path: &str) -> Option<&Entry> {
        self.shared.methods.get(path)
    }

    /// The service that was added and has the path.
    pub(super) fn added(&self, path: &str) -> Option<&Added> {
        self.shared.added.get(service_of(path))
    }

    /// What answers that which is not gRPC.
    pub(super) fn fallback(&self) -> Option<&dyn Foreign<RequestBody>> {
        self.shared.fallback.as_deref()
    }

    /// Why nothing is.
    pub(super) fn missing(&self, path: &str) -> Error {
        let message = match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
            None => format!("the path {path:?} is not /package.Service/Method"),
            Some((service, method)) if self.shared.services.contains(service) => {
                format!("the service {service:?} has no method {method:?}")
            }
            Some((service, _)) => format!("there is no service {service:?} here"),
        };
        Error::unimplemented(message).with_reason("NO_METHOD")
    }
}

/// Puts a method where its path is looked up.
fn insert(methods: &mut HashMap<String, Entry>, entry: Entry) -> Result<String, BuildError> {
    let path = path_of(&entry.operation)?;
    if let Some(other) = methods.get(&path) {
        let what = format!("{} and {} have the same method {path}", other.operation, entry.operation);
        return Err(BuildError::new(what));
    }
    methods.insert(path.clone(), entry);
    Ok(path)
}

/// The service in a path, which is all of it where it is no path of gRPC.
pub(super) fn service_of(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.rsplit_once('/').map_or(path, |(service, _)| service)
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
        f.debug_set().entries(self.shared.methods.keys()).finish()
    }
}
