//! Typed services from one trait, and the composition of their endpoints: layers, deadlines, hooks, boxing.

mod boxed;
mod chain;
mod deadline;
mod deadline_layer;
mod ext;
mod failer;
mod finish;
mod function;
mod middleware;
mod named;
mod nop;
#[doc(hidden)]
pub mod __private;

pub use boxed::BoxEndpoint;
pub use chain::chain;
pub use deadline::{Deadlined, DeadlinedFuture};
pub use deadline_layer::{DeadlineLayer, ZeroLimit};
pub use ext::EndpointExt;
pub use failer::{Failer, Failing};
pub use finish::{FinishHook, Finished, finish_hook};
pub use function::{EndpointFn, endpoint_fn};
pub use kit_base as base;
pub use kit_base::{Context, Endpoint, Error, Failure, Kind, Operation, Request, Response};
pub use kit_endpoint_macros::{Error, service};
pub use middleware::{MiddlewareFn, Next, WithMiddleware, middleware_fn};
pub use named::Named;
pub use nop::{Nop, nop};
pub use tower_layer::Layer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
