//! Circuit breaking for endpoints and for tower services: a breaker, breakers by key, a bulkhead, a fallback.
//!
//! * [`Bulkhead`]: at most so many calls at a time, and a bounded, fair queue before them that knows deadlines.
//! * [`Fallback`]: another answer for a call that failed, or that a breaker or a bulkhead refused.

mod breaker;
mod bulkhead;
mod circuit;
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
pub use bulkhead::{Bulkhead, Bulkheaded};
pub use fallback::{Alternative, Fallback, FallbackBody, Keeping, Plain, Substitute, WithFallback};
pub use invalid::InvalidSettings;
pub use open_for::OpenFor;
pub use policy::{Decision, Policy};
pub use settings::Settings;
pub use state::{Snapshot, State};
pub use window::{Tally, Window};
