//! Circuit breaking for endpoints and for tower services: a breaker, breakers by key, a bulkhead, a fallback.

mod breaker;
mod bulkhead;
mod circuit;
mod current;
#[cfg(feature = "failsafe")]
mod failsafe;
mod fallback;
mod invalid;
mod keyed;
mod open_for;
mod policy;
mod rules;
mod settings;
mod state;
mod sync;
mod window;
mod word;

pub use breaker::{Breaker, Permit};
pub use invalid::InvalidSettings;
pub use open_for::OpenFor;
pub use policy::{Decision, Policy};
pub use settings::Settings;
pub use state::{Snapshot, State};
pub use window::{Tally, Window};
