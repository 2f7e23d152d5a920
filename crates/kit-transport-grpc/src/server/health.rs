//! `grpc.health.v1`: whether services want traffic, by the readiness of the process.
//! Source: grpc/health/v1/health.proto; gRPC, "GRPC Health Checking Protocol".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kit_base::{Endpoint, Error, Operation, OperationInfo, Readiness, Request, Response};

use super::handler::{Takes, Unit};
use super::routes::Entry;
use crate::Prost;

const SERVICE: &str = "grpc.health.v1.Health";
static CHECK: OperationInfo = OperationInfo::new(SERVICE, "Check").idempotent(true);
static LIST: OperationInfo = OperationInfo::new(SERVICE, "List").idempotent(true);

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
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
    let check = Unit::<_, _, HealthCheckRequest, HealthCheckResponse>::new(Check(Arc::clone(&health)), Arc::new(Prost));
    let list = Unit::<_, _, HealthListRequest, HealthListResponse>::new(List(health), Arc::new(Prost));
    vec![
        Entry { operation: Operation::from_static(&CHECK), handler: Takes::One(Arc::new(check)) },
        Entry { operation: Operation::from_static(&LIST), handler: Takes::One(Arc::new(list)) },
    ]
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
