//! Typed services from one trait, and the composition of their endpoints: layers, deadlines, hooks, boxing.
//!
//! *For* whoever writes or calls a service: [`service`] makes typed endpoints of a trait, and the rest puts them
//! together. *Not for* moving them over a wire: that is what transports do, kit-transport-http for one; this crate
//! brings no HTTP server or client, no serde, and of tokio only the timer.
//!
//! ```
//! use std::time::Duration;
//! use kit_endpoint::base::Guard;
//! use kit_endpoint::{Context, DeadlineLayer, Endpoint, Error, Request, finish_hook, service};
//!
//! #[derive(Debug, kit_endpoint::Error)]
//! enum AddError {
//!     #[kit(kind = InvalidArgument, message = "can't sum two zeroes")]
//!     TwoZeroes,
//!     #[kit(other)]
//!     Other(Error),
//! }
//!
//! #[derive(Clone)]
//! struct SumRequest { a: i64, b: i64 }
//!
//! #[service(name = "addsvc", grpc = "pb.Add")]
//! trait Add {
//!     #[idempotent]
//!     async fn sum(&self, cx: &Context, req: SumRequest) -> Result<i64, AddError>;
//! }
//!
//! struct Basic;
//!
//! impl Add for Basic {
//!     async fn sum(&self, _: &Context, req: SumRequest) -> Result<i64, AddError> {
//!         match req {
//!             SumRequest { a: 0, b: 0 } => Err(AddError::TwoZeroes),
//!             SumRequest { a, b } => Ok(a + b),
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // One endpoint for each method.
//! let endpoints = AddEndpoints::new(Basic);
//! let answer = endpoints.sum.call(Request::new(SumRequest { a: 1, b: 2 })).await.unwrap();
//! assert_eq!(answer.into_message(), 3);
//!
//! // All of them behind the same layers, the first outermost.
//! let endpoints = endpoints.layer((
//!     Guard::new(finish_hook(|call| assert_eq!(call.operation.to_string(), "addsvc/sum"))),
//!     DeadlineLayer::new().with_default(Duration::from_secs(5)).unwrap(),
//! ));
//!
//! // Together they are the service again, wherever they lead: here, over a transport, to a fake.
//! let refused = endpoints.sum(&Context::new(), SumRequest { a: 0, b: 0 }).await;
//! assert!(matches!(refused, Err(AddError::TwoZeroes)));
//! # });
//! ```
//!
//! # From a trait to a service
//!
//! | made by [`service`] | what it is |
//! |---|---|
//! | `Add` | the trait, with futures that are `Send`; implement it with plain `async fn`, on your type or around another |
//! | `AddEndpoints` | a field for each method: its endpoint. Its default type parameters make it the boxed service |
//! | `AddEndpoints::new(implementation)` | the endpoints of an implementation; a panic in a method is an `Internal` error, and any error is its answer: of the origin `Remote` |
//! | `AddEndpoints::SUM` | the operation: service, method, idempotent or not, and its names over transports |
//! | `.layer(l)`, `.layer_sum(l)`, `.map_sum(f)` | a layer over all endpoints, over one, another endpoint in place of one |
//! | `.boxed()` | every endpoint erased, so that the type names no layers: one allocation a call |
//! | `.bind(transport)` | serves every method over a transport, and gives that back |
//! | `AddEndpoints::connect(&transport)` | the service at the other end |
//! | `impl Add for AddEndpoints` | the endpoints as a service, local or remote |
//!
//! All of it can be written by hand; [`service`] shows how.
//!
//! Calls are named at the edge: `bind` gives each method's operation to calls that have none, and so does whoever calls
//! `AddEndpoints` as an `Add`. Whoever calls a field of it directly names the call, if layers ask for the name.
//!
//! # The order of a stack
//!
//! From the outermost to the innermost. What stands further out sees the refusals of what stands further in.
//!
//! | server | because |
//! |---|---|
//! | trace | all that happens, refusals too, belongs to the span |
//! | log | lines carry the trace |
//! | metrics | they count what is logged |
//! | panic | what breaks in a layer below is an answer to the three above; a method's own panic is caught in its endpoint |
//! | deadline | the time that a call waits for its turn counts |
//! | limit | refuses before anything is spent, on checking credentials too; one by caller stands inside of auth |
//! | auth | what comes after knows its caller |
//!
//! | client | because |
//! |---|---|
//! | trace, log, metrics | one call is one span, line and sample, however many attempts it takes |
//! | fallback, where there is one | answers when all attempts have failed, or the time has passed |
//! | deadline | bounds all attempts together |
//! | retry | each attempt chooses an instance anew |
//! | rate limit, where the service as a whole sets one | each attempt counts |
//! | balancer | what follows is there once for each instance |
//! | breaker | knows one instance; an open one uses up no permits of the limit |
//! | limit | bounds what this instance is asked at a time, a bulkhead, or how often, a rate limit |
//! | attempt's limit | innermost, so that the breaker sees a hanging instance, and waiting for the limit is not held against it |
//!
//! Gates that stand side by side go into one [`Guard`](base::Guard) as a tuple: one future, one reading of the clock.
//! As a program, with an access rule for auth and a second try for retry:
//!
//! ```
#![doc = include_str!("../examples/stack.rs")]
//! ```
//!
//! # Behaviour
//!
//! *Clones* of an endpoint, and of a boxed one, share it. Layering twice shares the state of the layer;
//! [`per_operation`] keeps one state for each operation, and [`fresh`](PerOperation::fresh) makes a new one.
//! *Cancellation:* dropping a call's future drops everything below it, and each hook and gate is told, once.
//! *Limits:* [`DeadlineLayer`] has no default time of its own, and bounds an answer that streams up to its head. There
//! are no queues and no tasks in this crate.
//!
//! # Errors
//!
//! Layers pass errors through with their type. Those that refuse need `From<kit_base::Error>` of it:
//! [`#[derive(kit_endpoint::Error)]`](derive@Error) writes that for an enum, and its kinds and texts.
//!
//! What a method returns is its answer. An error of a service further down that was never sent, or was refused here, is
//! passed on with the origin [`Remote`](base::Origin::Remote): the method has run, and what it did before, a retry
//! would do again. Refusals of layers around the endpoint keep theirs. Endpoints made by hand call
//! [`Failure::into_answer`] for that, and error types that hold a `kit_base::Error` implement it.
//!
//! # Events and log fields
//!
//! None. [`finish_hook`] hands out operation, judgement, cause and duration of each call.
//!
//! # Differences from Go kit
//!
//! * Endpoints are typed, and made by a macro instead of by hand.
//! * `Chain` takes any number of layers, none included.
//! * [`Failer`] is looked at by whoever is told to, with [`Failing`], and then by breaker, metrics, log and trace alike.
//! * The deadline is in the context and kept by a layer; in Go kit each transport's context does it.
//! * A panic in a method is an answer, not the end of the process.

#[doc(hidden)]
pub mod __private;
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
mod per_operation;

pub use boxed::BoxEndpoint;
pub use chain::chain;
pub use deadline::Deadlined;
pub use deadline_layer::{DeadlineLayer, ZeroLimit};
pub use ext::EndpointExt;
pub use failer::{Failer, Failing};
pub use finish::{FinishHook, Finished, finish_hook};
pub use function::{EndpointFn, endpoint_fn};
/// The core, for generated code and for whoever needs more of it.
pub use kit_base as base;
pub use kit_base::{Context, Endpoint, Error, Failure, Kind, Operation, Request, Response};
pub use kit_endpoint_macros::Error;
/// # By hand
///
/// What the macro writes, for a trait of one method. Each part can be replaced by one of your own.
///
/// ```
#[doc = include_str!("../examples/by_hand.rs")]
/// ```
///
/// # The macro
///
pub use kit_endpoint_macros::service;
pub use middleware::{MiddlewareFn, Next, WithMiddleware, middleware_fn};
pub use named::Named;
pub use nop::{Nop, nop};
pub use per_operation::{PerOperation, per_operation};
pub use tower_layer::Layer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
