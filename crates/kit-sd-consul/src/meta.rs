//! The keys of a service's `Meta` that carry the fields of an instance which Consul has no place for. A registration writes
//! them and discovery reads them; there they are fields, and so not metadata.

/// [`zone`](kit_base::Instance::zone).
pub(crate) const ZONE: &str = "zone";

/// [`scheme`](kit_base::Instance::scheme).
pub(crate) const SCHEME: &str = "scheme";

/// [`server_name`](kit_base::Instance::server_name).
pub(crate) const SERVER_NAME: &str = "server_name";

/// [`weight`](kit_base::Instance::weight) where it is 0, since Consul takes only 1 to 65,535: `Weights.Passing` is 1
/// then, for clients that know nothing of this key, and this key is `0`. Written in no other case. Where it is there and a
/// number, it is the weight, whatever `Weights` says.
pub(crate) const WEIGHT: &str = "weight";
