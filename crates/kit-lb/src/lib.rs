//! Load balancing over live discovery: one connection an instance, balanced endpoints and whole services, lock-free picks.

mod alias;
mod answering;
mod at;
mod balancer;
mod cell;
mod changes;
mod choice;
mod connect;
mod endpointer;
mod fixed;
mod keeper;
mod merge;
mod methods;
mod record;
mod registry;
mod services;
mod set;
mod settings;
mod snapshot;

pub use answering::Answering;
pub use at::At;
pub use balancer::{Balancer, Picked};
pub use changes::{Change, Changes};
pub use choice::{Choice, LeastLoaded, Random, RoundRobin, Weighted};
pub use connect::Method;
pub use endpointer::Endpointer;
pub use fixed::Fixed;
pub use record::Record;
pub use registry::{Registered, Registry};
pub use services::ByCause;
pub use set::{Place, Set};
pub use settings::Settings;
pub use snapshot::{Member, SetSnapshot};
