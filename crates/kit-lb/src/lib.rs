//! Load balancing over live discovery: one connection an instance, balanced endpoints and whole services, lock-free picks.

mod alias;
mod answering;
mod balancer;
mod candidate;
mod cell;
mod choice;
mod connect;
mod endpointer;
mod fixed;
mod keeper;
mod merge;
mod methods;
mod record;
mod registry;
mod set;
mod settings;
mod snapshot;
mod swap;

pub use answering::Answering;
pub use balancer::{Balancer, Picked};
pub use candidate::Candidate;
pub use choice::{Choice, LeastLoaded, Random, RoundRobin, Weighted};
pub use connect::Method;
pub use endpointer::Endpointer;
pub use fixed::Fixed;
pub use record::Record;
pub use registry::{Registered, Registry};
pub use set::Set;
pub use settings::Settings;
pub use snapshot::{Member, SetSnapshot};
