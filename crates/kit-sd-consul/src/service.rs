//! An instance in the words of Consul's API.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use kit_base::{Error, Instance};
use serde::Serialize;

use crate::consul::{fits_into_a_path, misfit};
use crate::plan::Plan;
use crate::{check, meta};

/// The greatest weight that Consul takes: its DNS has no greater one.
const MAX_WEIGHT: u32 = 65_535;

/// A service in the words of `/v1/agent/service/register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Service {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) name: String,
    tags: Vec<String>,
    pub(crate) address: String,
    pub(crate) port: u16,
    meta: BTreeMap<String, String>,
    weights: Weights,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<check::Body>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

impl Service {
    /// # Errors
    /// What no agent would take, or nobody could reach.
    pub(crate) fn new(plan: &Plan, instance: Instance) -> Result<Self, Error> {
        let Plan { name, check, critical_after, .. } = plan;
        let Instance { id, address, scheme, server_name, weight, zone, tags, metadata, .. } = instance;
        for (what, name) in [("name of the service", name), ("id of the instance", &id)] {
            if !fits_into_a_path(name) {
                return Err(Error::invalid_argument(misfit(what, name)));
            }
        }
        let (host, port) = split(&address)?;
        if weight > MAX_WEIGHT {
            return Err(Error::invalid_argument(format!("consul takes weights up to {MAX_WEIGHT}, got {weight}")));
        }
        let mut meta = metadata;
        let none = (weight == 0).then(|| "0".to_owned());
        let fields =
            [(meta::ZONE, zone), (meta::SCHEME, scheme), (meta::SERVER_NAME, server_name), (meta::WEIGHT, none)];
        for (key, field) in fields {
            if let Some(value) = meta.get(key) {
                let message = format!("metadata {key:?} is {value:?}, and this key stands for a field of the instance");
                return Err(Error::invalid_argument(message));
            }
            meta.extend(field.map(|value| (key.to_owned(), value)));
        }
        let check = check.body(&id, *critical_after);
        // 1 is Consul's own weight for what gives a warning.
        let weights = Weights { passing: weight.max(1), warning: 1 };
        Ok(Self { id, name: name.clone(), tags, address: host, port, meta, weights, check })
    }
}

/// Host and port, an IPv6 address without its brackets.
fn split(address: &str) -> Result<(String, u16), Error> {
    let invalid = |why: &str| Error::invalid_argument(format!("invalid address {address:?} of the instance: {why}"));
    if address.contains("://") {
        return Err(invalid("it is a URL; give host:port, and the scheme beside it"));
    }
    let (host, port) = address.rsplit_once(':').ok_or_else(|| invalid("it has no port"))?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0);
    let port = port.ok_or_else(|| invalid("the port must be from 1 to 65535"))?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) if host.parse::<Ipv6Addr>().is_ok() => host,
        Some(_) => return Err(invalid("in brackets stands no IPv6 address")),
        None if host.contains(':') => return Err(invalid("an IPv6 address stands in brackets, as in [::1]:8081")),
        None => host,
    };
    if host.parse().is_ok_and(|address: IpAddr| address.is_unspecified()) {
        return Err(invalid("nobody can reach it; give the address that others see"));
    }
    let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    if host.is_empty() || host.bytes().any(odd) {
        return Err(invalid("the host is no name and no address"));
    }
    Ok((host.to_owned(), port))
}
