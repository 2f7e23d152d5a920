//! An instance of a service, as discovery sees it.

use std::collections::BTreeMap;

/// One running instance of a service.
///
/// ```
/// let mut instance = kit_base::Instance::new("addsvc-1", "10.0.0.7:8081");
/// assert_eq!(instance.weight, 1);
/// instance.zone = Some("eu-1a".into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Instance {
    /// Unique within the service. What keeps its id is the same instance: its connection and statistics stay.
    pub id: String,
    /// Host and port, `10.0.0.7:8081`, `[::1]:8081` or `host.example:8081`.
    pub address: String,
    /// `http`, `https`, or what else the service speaks; nothing where the registry does not say.
    pub scheme: Option<String>,
    /// The name that its TLS certificate must show, where that is not the host.
    pub server_name: Option<String>,
    /// Its share of the traffic against its peers; 1 unless the registry says otherwise, 0 for none.
    pub weight: u32,
    /// The zone that it runs in.
    pub zone: Option<String>,
    /// Its tags, in the order of the registry.
    pub tags: Vec<String>,
    /// What else the registry says.
    pub metadata: BTreeMap<String, String>,
}

impl Instance {
    /// An instance with weight 1 and nothing else known of it.
    pub fn new(id: impl Into<String>, address: impl Into<String>) -> Self {
        let (id, address, tags, metadata) = (id.into(), address.into(), Vec::new(), BTreeMap::new());
        Self { id, address, scheme: None, server_name: None, weight: 1, zone: None, tags, metadata }
    }
}
