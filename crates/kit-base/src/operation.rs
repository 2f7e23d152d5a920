//! The name of what is called, known to every policy.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{End, Error, Gate, Now};

/// An operation: service, method, and whether it may be repeated without harm. Cheap to clone; static or shared text.
///
/// Calls that match no operation share [`Operation::UNMATCHED`], so that scanners cannot make series and keys.
#[derive(Clone)]
pub struct Operation(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static OperationInfo),
    Shared(Arc<OperationInfo>),
}

/// What an [`Operation`] says.
#[derive(Clone, Debug)]
pub struct OperationInfo {
    service: Cow<'static, str>,
    method: Cow<'static, str>,
    idempotent: bool,
    names: &'static [(&'static str, &'static str)],
}

impl OperationInfo {
    /// An operation by its service and method.
    pub const fn new(service: &'static str, method: &'static str) -> Self {
        Self { service: Cow::Borrowed(service), method: Cow::Borrowed(method), idempotent: false, names: &[] }
    }

    /// The same, and it may be repeated without harm.
    pub const fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// The same with what transports call it, by transport: `[("http", "POST /sum"), ("grpc", "pb.Add/Sum")]`.
    pub const fn named(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.names = names;
        self
    }
}

static UNMATCHED: OperationInfo = OperationInfo::new("", "unmatched");

impl Operation {
    /// The one operation of all calls that match none.
    pub const UNMATCHED: Self = Self(Repr::Static(&UNMATCHED));

    /// An operation from a constant; costs nothing.
    pub const fn from_static(info: &'static OperationInfo) -> Self {
        Self(Repr::Static(info))
    }

    /// An operation by its service and method, not idempotent. Make it once and clone it.
    pub fn new(service: impl Into<Cow<'static, str>>, method: impl Into<Cow<'static, str>>) -> Self {
        let (service, method) = (service.into(), method.into());
        Self(Repr::Shared(Arc::new(OperationInfo { service, method, ..UNMATCHED.clone() })))
    }

    /// The same, idempotent or not.
    pub fn with_idempotent(self, idempotent: bool) -> Self {
        Self(Repr::Shared(Arc::new(OperationInfo { idempotent, ..self.info().clone() })))
    }

    fn info(&self) -> &OperationInfo {
        match &self.0 {
            Repr::Static(info) => info,
            Repr::Shared(info) => info,
        }
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.info().service
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.info().method
    }

    /// Whether a second call does no harm. Nothing is retried or hedged without it, unless it surely did not start.
    pub fn is_idempotent(&self) -> bool {
        self.info().idempotent
    }

    /// What a transport calls the operation, where that was said: `operation.name_for("http")`.
    pub fn name_for(&self, transport: &str) -> Option<&'static str> {
        self.info().names.iter().find(|(key, _)| *key == transport).map(|(_, name)| *name)
    }
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.service() == other.service() && self.method() == other.method()
    }
}

impl Eq for Operation {}

impl Hash for Operation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.service(), self.method()).hash(state);
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service() {
            "" => f.write_str(self.method()),
            service => write!(f, "{service}/{}", self.method()),
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}

/// A gate that names the operation of each HTTP call, on hosts that do not: axum, tonic, a plain client. Put it first.
///
/// ```
/// use kit_base::{NameOperation, Operation};
///
/// let users = Operation::new("users", "get").with_idempotent(true);
/// let gate = NameOperation(move |req: &http::Request<String>| match req.uri().path() {
///     "/users" => users.clone(),
///     _ => Operation::UNMATCHED,
/// });
/// # let _ = gate;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NameOperation<F>(pub F);

impl<F, B, Res, Err> Gate<http::Request<B>, Res, Err> for NameOperation<F>
where
    F: Fn(&http::Request<B>) -> Operation + Send + Sync + 'static,
{
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, request: &mut http::Request<B>, _: &Now<'_>) -> Result<(), Error> {
        let operation = (self.0)(request);
        request.extensions_mut().insert(operation);
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}
