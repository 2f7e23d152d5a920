//! The laws of middleware, and a checker for anybody's layer.

mod bench;
mod body;
mod capacity;
mod check;
mod declared;
mod fault;
mod inner;
mod inspect;
mod law;
mod outer;
mod report;
mod scenarios;
mod setup;
mod subject;
mod world;

pub use self::body::InnerBody;
pub use self::check::Laws;
pub use self::declared::{Breaker, Readiness};
pub use self::fault::Fault;
pub use self::inner::Inner;
pub use self::law::Law;
pub use self::report::{Finding, Report};
pub use self::setup::{Ends, LawsClock, Setup};
