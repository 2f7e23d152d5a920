//! Rate limits that limit: one bucket for all clones and connections, buckets by key in bounded memory, and calls that wait
//! their turn.

mod allow;
mod bucket;
mod cost;
mod delay;
mod gcra;
#[cfg(feature = "governor")]
mod governor;
mod headers;
mod key;
mod keyed;
mod limit;
mod limited;
mod line;
mod passage;
mod places;
mod quota;
mod standing;
mod sync;
mod wait;
mod with_headers;

pub use allow::{Allow, Erroring};
pub use cost::{Cost, One};
pub use delay::{Delay, Delayed};
pub use key::{KeyOf, Network, OperationKey, PeerKey};
pub use keyed::{Keyed, KeyedPermit};
// What the plain case needs beside a limit, so that this crate alone is enough for it.
pub use kit_base::{Guard, Tower};
pub use limit::{Permit, RateLimit};
pub use limited::Limited;
pub use quota::{InvalidQuota, Quota};
pub use standing::Standing;
pub use tower_layer::Layer;
pub use wait::{DelayedBy, Delaying, Wait};
pub use with_headers::{Measure, WithHeaders};
