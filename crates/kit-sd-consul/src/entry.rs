//! One entry of an answer as an instance.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use kit_base::Instance;
use serde::Deserialize;

use crate::{ServiceQuery, meta};

/// An instance as the health endpoint shows it. What we do not use is not read; what older versions lack is optional.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Entry {
    node: Node,
    service: Service,
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: Option<String>,
    meta: Option<BTreeMap<String, String>>,
    locality: Option<Locality>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: Option<String>,
    port: Option<i64>,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    weights: Option<Weights>,
    locality: Option<Locality>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: Option<i64>,
    warning: Option<i64>,
}

/// Since Consul 1.17.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locality {
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: Option<String>,
}

/// The worst of the checks of an instance and its node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Passing,
    Warning,
    Critical,
}

impl Entry {
    /// A service's id is unique on its agent only.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.node.node, self.service.id)
    }

    pub(crate) fn is_wanted(&self, query: &ServiceQuery) -> bool {
        let tags = self.service.tags.as_deref().unwrap_or_default();
        // Without regard to case, as Consul does it; what is wanted is in lower case already.
        let tagged = |wanted: &String| tags.iter().any(|tag| tag.to_lowercase() == *wanted);
        (!query.passing_only || self.status() == Status::Passing) && query.tags.iter().all(tagged)
    }

    fn status(&self) -> Status {
        let checks = self.checks.iter().flatten();
        let status = checks.map(|check| match check.status.as_deref() {
            Some("passing") => Status::Passing,
            Some("warning") => Status::Warning,
            // Maintenance is critical too.
            _ => Status::Critical,
        });
        status.max().unwrap_or(Status::Passing)
    }

    /// Nothing where nobody could connect: no port, or no address.
    pub(crate) fn into_instance(self) -> Option<Instance> {
        let (id, status) = (self.id(), self.status());
        let Self { node, service, checks: _ } = self;
        let port = u16::try_from(service.port?).ok().filter(|port| *port > 0)?;
        let host = some(service.address).or_else(|| some(node.address))?;
        let host = if is_ipv6(&host) { format!("[{host}]") } else { host };
        // Two ports are none.
        if host.contains(':') && !host.starts_with('[') {
            return None;
        }
        let mut meta = service.meta.unwrap_or_default();
        let mut instance = Instance::new(id, format!("{host}:{port}"));
        instance.weight = weight(status, service.weights.as_ref(), &mut meta);
        instance.scheme = some(meta.remove(meta::SCHEME));
        instance.server_name = some(meta.remove(meta::SERVER_NAME));
        let zones = [
            meta.remove(meta::ZONE),
            node.meta.and_then(|mut meta| meta.remove(meta::ZONE)),
            service.locality.and_then(|locality| locality.zone),
            node.locality.and_then(|locality| locality.zone),
        ];
        instance.zone = zones.into_iter().find_map(some);
        instance.tags = service.tags.unwrap_or_default();
        instance.metadata = meta;
        Some(instance)
    }
}

/// As Consul's own DNS weighs: what is critical gets nothing.
fn weight(status: Status, weights: Option<&Weights>, meta: &mut BTreeMap<String, String>) -> u32 {
    let named = meta.get(meta::WEIGHT).and_then(|weight| weight.parse().ok());
    if named.is_some() {
        meta.remove(meta::WEIGHT);
    }
    let given = match status {
        Status::Passing => weights.and_then(|weights| weights.passing),
        Status::Warning => weights.and_then(|weights| weights.warning),
        Status::Critical => return 0,
    };
    named.unwrap_or_else(|| given.map_or(1, |weight| u32::try_from(weight.max(0)).unwrap_or(u32::MAX)))
}

/// With its zone, where it is of one link only.
fn is_ipv6(host: &str) -> bool {
    let address = host.split_once('%').map_or(host, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// What is there and not empty.
fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
