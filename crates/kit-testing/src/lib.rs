//! Test tools for services and their middleware: a law checker for layers, mock endpoints, scripted backends, clocks, processes.
//!
//! For the tests of services built with kit, or without it, and for kit's own. Not for production code: list it under
//! `[dev-dependencies]`. It installs nothing global.
//!
//! # Testing a service of your own
//!
//! A service that calls another takes that other as an [`Endpoint`](kit_base::Endpoint) (or as the trait that
//! describes it), and so does not know whether it is remote. In a test, give it a fake. A [`mock`] is scripted, and
//! records what it was asked:
//!
//! ```
//! use kit_base::{Endpoint, Error, Kind};
//! use kit_testing::mock::MockEndpoint;
//!
//! /// The code under test: greets by the name that another service knows.
//! struct Greeter<Names>(Names);
//!
//! impl<Names> Endpoint<u64> for Greeter<Names>
//! where
//!     Names: Endpoint<u64, Response = String, Error = Error>,
//! {
//!     type Response = String;
//!     type Error = Error;
//!
//!     async fn call(&self, id: u64) -> Result<String, Error> {
//!         let name = self.0.call(id).await?;
//!         Ok(format!("hello, {name}"))
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")] // in your tests: #[tokio::test]
//! async fn main() {
//!     let names = MockEndpoint::new().then_ok("ada".to_owned()).then_err(Error::not_found("no user 2"));
//!     let greeter = Greeter(names.clone());
//!
//!     assert_eq!(greeter.call(1).await.unwrap(), "hello, ada");
//!     assert_eq!(greeter.call(2).await.unwrap_err().kind(), Kind::NotFound);
//!     assert_eq!(names.requests(), [1, 2]);
//! }
//! ```
//!
//! # What is here
//!
//! | module | for |
//! |---|---|
//! | [`mock`] | endpoints that answer by script, by function or by hand; calls in flight and dropped are counted |
//! | [`backend`] | an HTTP/1.1 server on a free port that fails as told: statuses, delays, hangs, resets, half bodies |
//! | [`http`] | clients without manners: exact bytes on a socket, and the real curl |
//! | [`clock`] | a clock moved by hand, and tokio's, which can be paused |
//! | `process` (Unix) | programs that are started, read, signalled, and never outlive the test |
//! | `laws` (feature `laws`) | a checker for anybody's layer: lost permits, over-admission, stuck circuits, hangs, leaks |
//! | `net` (Linux) | a network cable that can be cut: packets vanish, and neither end is told |
//! | `memory` (Linux) | the memory that a piece of code needs at most, in a process of its own |
//! | [`ports`] | free ports |
//! | [`temp`] | folders that vanish |
//! | [`tools`] | programs that a machine may lack: skipped with a line, and never in CI |
//! | `alloc` (feature `alloc`) | allocations of a piece of code, in a program with one running thread |
//!
//! # Behaviour
//!
//! Clones of a mock or a clock are the same one. Whatever is started (backends, programs, cables) ends when its value is
//! dropped; programs end even if the test process is killed. Waiting for a count or a request has no time limit, the
//! rest says its own. What is recorded is bounded, except for a mock's requests.
//!
//! # Errors
//!
//! What can fail because of the machine returns an error. What can fail only by a mistake in the test (a status that
//! does not exist, a mock without an answer) panics with the reason.
//!
//! # Differences from Go kit
//!
//! Go kit has no such package: its tests use `httptest`, hand-written endpoints, sleeps, and servers named by
//! environment variables.

#[cfg(feature = "alloc")]
pub mod alloc;
pub mod backend;
pub mod clock;
pub mod http;
#[cfg(feature = "laws")]
pub mod laws;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod mock;
#[cfg(target_os = "linux")]
pub mod net;
pub mod ports;
#[cfg(unix)]
pub mod process;
pub mod temp;
pub mod tools;
mod wire;

#[cfg(all(doctest, feature = "laws"))]
#[doc = include_str!("../README.md")]
struct Readme;
