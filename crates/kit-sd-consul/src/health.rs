//! One question to the health endpoint, and what its answer says.
//!
//! Source: Consul's HTTP API, "Health: List Nodes for Service", and "Blocking Queries".

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, Method};
use kit_base::{Error, Instance};
use serde_json::value::RawValue;
use tokio::task::yield_now;

use crate::call::Answer;
use crate::entry::Entry;
use crate::{Consul, ServiceQuery};

/// Entries that are read in one go; then others have their turn.
const TURN: usize = 128;

/// Entries of an answer that are told of as left out, at most.
const LEFT_OUT: usize = 1_000;

/// What one answer says.
pub(crate) struct Health {
    pub(crate) index: u64,
    /// The instances that are wanted, or nothing for a service that does not exist.
    pub(crate) instances: Option<Vec<Instance>>,
    /// What could not be taken over, by id.
    pub(crate) left_out: BTreeSet<String>,
    /// How old it is: of a server that follows the leader, the time since it heard from it.
    pub(crate) age: Duration,
    /// No server leads, so it may be older than it says.
    pub(crate) leaderless: bool,
}

/// Asks, and with an index waits for a change of it, for as long as `wait`.
pub(crate) async fn ask(query: &ServiceQuery, index: Option<u64>, wait: Duration) -> Result<Health, Error> {
    let answer = request(query, index, wait)?.send().await?.ok()?;
    read(query, &answer).await
}

fn request(query: &ServiceQuery, index: Option<u64>, wait: Duration) -> Result<crate::call::Call, Error> {
    let consul: &Consul = &query.consul;
    let mut call = consul.call(Method::GET, &["v1", "health", "service", &query.service]);
    if let Some(datacenter) = consul.datacenter() {
        call = call.query("dc", datacenter);
    }
    if query.stale {
        call = call.flag("stale");
    }
    if let Some(filter) = &query.filter {
        call = call.query("filter", filter);
    }
    if let Some(index) = index {
        // The agent adds up to a sixteenth, so that its clients do not come back all at once.
        call = call.query("index", &index.to_string()).query("wait", &format!("{}ms", wait.as_millis().max(1)));
        call = call.waits(wait + wait / 16);
    }
    Ok(call)
}

async fn read(query: &ServiceQuery, answer: &Answer) -> Result<Health, Error> {
    let entries: Option<Vec<&RawValue>> = answer.json()?;
    let entries = entries.unwrap_or_default();
    let headers = &answer.headers;
    if entries.is_empty() && text(headers, "x-consul-results-filtered-by-acls") == Some("true") {
        let message = format!("the token may not see the instances of {:?}", query.service);
        return Err(Error::permission_denied(message));
    }
    // An index of zero is a bug of some versions, which comes with sets that are wrongly empty.
    let index = number(headers, "x-consul-index").filter(|index| *index > 0);
    let index = index.ok_or_else(|| answer.garbled("it has no X-Consul-Index"))?;
    let (mut instances, mut left_out, mut unread) = (Vec::new(), BTreeSet::new(), None);
    let mut known = 0;
    let mut leave_out = |id| {
        if left_out.len() < LEFT_OUT {
            left_out.insert(id);
        }
    };
    for (number, entry) in entries.iter().enumerate() {
        if number % TURN == TURN - 1 {
            yield_now().await;
        }
        let entry: Entry = match serde_json::from_str(entry.get()) {
            Ok(entry) => entry,
            Err(error) => {
                leave_out(format!("{}[{number}]", query.service));
                unread = Some(error);
                continue;
            }
        };
        known += 1;
        if !entry.is_wanted(query) {
            continue;
        }
        let id = entry.id();
        match entry.into_instance() {
            Some(instance) => instances.push(instance),
            None => leave_out(id),
        }
    }
    if let Some(error) = unread.filter(|_| known == 0) {
        return Err(answer.garbled(error));
    }
    // With a filter, nobody can tell whether it does not exist, or has no such instance.
    let absent = entries.is_empty() && query.filter.is_none();
    let age = Duration::from_millis(number(headers, "x-consul-lastcontact").unwrap_or_default());
    let leaderless = text(headers, "x-consul-knownleader") == Some("false");
    Ok(Health { index, instances: (!absent).then_some(instances), left_out, age, leaderless })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}
