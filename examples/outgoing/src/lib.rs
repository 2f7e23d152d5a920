//! A plain axum app whose outgoing clients, a `reqwest::Client` and a tonic `Channel`, stand behind circuit breakers. It uses two
//! crates of kit, kit-breaker and kit-base, and no server of kit.
//!
//! `cargo run -p outgoing` shows what the breakers do, with services that it starts itself, and makes sure of it. The app alone
//! is `cargo run -p outgoing -- serve`.
//!
//! | route | |
//! |---|---|
//! | `GET /quote` | what the quotes service answers, called over reqwest |
//! | `GET /health` | what a gRPC health service answers, called over tonic |
//! | `GET /circuits` | a line for each circuit: `quotes open for 7.3s, 12 refused` |
//! | `PUT /circuits/NAME/open`, `/closed`, `/off`, `/reset` | forces a circuit open or closed, switches it off, begins anew |
//!
//! Where a service fails, the app answers 502. Where its circuit is open, nobody is asked, and the app answers 503 with
//! `Retry-After` at once.
//!
//! # The ten lines
//!
//! ```text
#![doc = include_str!("clients.rs")]
//! ```

mod app;
mod clients;
mod demo;
mod services;

pub use app::app;
pub use clients::Clients;
pub use demo::demo;
pub use services::Services;
