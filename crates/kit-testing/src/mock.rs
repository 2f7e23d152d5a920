//! Mock endpoints: scripted or answered by hand, and counting what becomes of each call.

mod endpoint;
mod handle;
mod state;

pub use self::endpoint::{MockEndpoint, MockService};
pub use self::handle::{Call, MockHandle, Responder};
pub use self::state::CallCounts;
