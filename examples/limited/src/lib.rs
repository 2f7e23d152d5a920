//! A plain axum router and a plain tonic server, each behind a rate limit by one line. Of kit they use kit-ratelimit alone, and no
//! server of kit.
//!
//! `cargo run -p limited` shows what the limits do, at servers that it starts itself, and makes sure of it. The servers alone are
//! `cargo run -p limited -- serve`.
//!
//! | | |
//! |---|---|
//! | `GET /` | 5 a second, for all callers together |
//! | `GET /mine` | 5 a minute for each client; answers tell what is left, by the headers `RateLimit-Policy` and `RateLimit` |
//! | `grpc.health.v1.Health` | 5 a second, for all callers together |
//!
//! What comes too often is answered 429 with `Retry-After` and the headers, or RESOURCE_EXHAUSTED with RetryInfo.
//!
//! # The lines
//!
//! ```text
#![doc = include_str!("services.rs")]
//! ```

mod clients;
mod demo;
mod flood;
mod services;

pub use demo::demo;
pub use flood::{Counted, flood};
pub use services::{serve_rpc, serve_web, web};
