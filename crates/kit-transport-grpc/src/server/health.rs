//! `grpc.health.v1`: whether services want traffic, by the readiness of the process.
//! Source: grpc/health/v1/health.proto; gRPC, "GRPC Health Checking Protocol".

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use kit_base::{
    Bind, Endpoint, Error, Operation, OperationInfo, Readiness, Request, Response, ServerStream, Streaming, Unary,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::GrpcServer;
use super::routes::Entry;

pub(super) const SERVICE: &str = "grpc.health.v1.Health";
static CHECK: OperationInfo = OperationInfo::new(SERVICE, "Check").idempotent(true);
static WATCH: OperationInfo = OperationInfo::new(SERVICE, "Watch").idempotent(true);
static LIST: OperationInfo = OperationInfo::new(SERVICE, "List").idempotent(true);

/// How often a watcher looks: readiness tells nobody when it changes. It is one atomic read.
const LOOK: Duration = Duration::from_millis(250);

/// How long a process must not be ready until watchers are let go: nothing else tells that it is about to stop, and they would
/// hold that up as long as it may take. All of gRPC's clients watch again.
const LET_GO: Duration = Duration::from_secs(3);

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "describe", derive(crate::Describe))]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
#[cfg_attr(feature = "describe", derive(crate::Describe))]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
#[cfg_attr(feature = "describe", derive(crate::Describe))]
struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "describe", derive(crate::Describe))]
struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[cfg_attr(feature = "describe", derive(crate::Describe))]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// What the methods look at.
struct Health {
    readiness: Readiness,
    services: BTreeSet<String>,
}

impl Health {
    fn now(&self) -> HealthCheckResponse {
        let status = if self.readiness.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
        status.into()
    }

    /// The status of a service, or of all where there is no name; nothing for one that is not here.
    fn of(&self, service: &str) -> Option<HealthCheckResponse> {
        (service.is_empty() || self.services.contains(service)).then(|| self.now())
    }
}

impl From<ServingStatus> for HealthCheckResponse {
    fn from(status: ServingStatus) -> Self {
        Self { status: status as i32 }
    }
}

/// The methods of the service, for these services.
pub(super) fn entries(readiness: Readiness, services: BTreeSet<String>) -> Vec<Entry> {
    let health = Arc::new(Health { readiness, services });
    #[cfg(feature = "describe")]
    let mut server = GrpcServer::described();
    #[cfg(not(feature = "describe"))]
    let mut server = GrpcServer::new();
    let operation = Operation::from_static;
    Bind::<Unary, _, _>::bind(&mut server, operation(&CHECK), Check(Arc::clone(&health)));
    Bind::<ServerStream, _, _>::bind(&mut server, operation(&WATCH), Watch(Arc::clone(&health)));
    Bind::<Unary, _, _>::bind(&mut server, operation(&LIST), List(health));
    server.entries
}

/// What reflection tells of them.
#[cfg(feature = "reflection")]
pub(super) fn descriptors() -> Result<prost_types::FileDescriptorSet, crate::BuildError> {
    use super::describe::UNDESCRIBED;
    let types = super::describe::types_of(&entries(Readiness::new(), BTreeSet::new()), |_| false)?;
    types.file_descriptor_set().map_err(|error| crate::BuildError::new(UNDESCRIBED).because(error))
}

struct Check(Arc<Health>);

impl Endpoint<Request<HealthCheckRequest>> for Check {
    type Response = Response<HealthCheckResponse>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Error> {
        let service = request.into_message().service;
        self.0.of(&service).map(Response::new).ok_or_else(|| {
            // The name is the caller's, and may be of any length.
            let shown: String = service.chars().take(64).collect();
            Error::not_found(format!("there is no service {shown:?} here"))
        })
    }
}

struct List(Arc<Health>);

impl Endpoint<Request<HealthListRequest>> for List {
    type Response = Response<HealthListResponse>;
    type Error = Error;

    async fn call(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Error> {
        let names = self.0.services.iter().cloned().chain([String::new()]);
        let now = self.0.now();
        Ok(Response::new(HealthListResponse { statuses: names.map(|name| (name, now)).collect() }))
    }
}

struct Watch(Arc<Health>);

impl Endpoint<Request<HealthCheckRequest, ServerStream>> for Watch {
    type Response = Response<Streaming<HealthCheckResponse>>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest, ServerStream>) -> Result<Self::Response, Error> {
        // Services do not come and go, so the name need not be kept.
        let known = self.0.of(&request.into_message().service).is_some();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Response::new(Streaming::new(Watching {
            health: Arc::clone(&self.0),
            known,
            told: None,
            looks,
            unready: None,
        })))
    }
}

/// The status at once, then each change of it that lasts until a look. It ends when the process is not ready for long.
struct Watching {
    health: Arc<Health>,
    known: bool,
    told: Option<HealthCheckResponse>,
    looks: Interval,
    /// Since when it is not.
    unready: Option<Instant>,
}

impl Stream for Watching {
    type Item = Result<HealthCheckResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            ready!(self.looks.poll_tick(cx));
            let look = Instant::now();
            let since = (!self.health.readiness.is_ready()).then(|| self.unready.unwrap_or(look));
            self.unready = since;
            let now = if self.known { self.health.now() } else { ServingStatus::ServiceUnknown.into() };
            if self.told.replace(now) != Some(now) {
                return Poll::Ready(Some(Ok(now)));
            }
            if since.is_some_and(|since| look - since >= LET_GO) {
                return Poll::Ready(None);
            }
        }
    }
}
