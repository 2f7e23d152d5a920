//! A fleet of addsvc: backends that are programs of their own, started, stopped, killed and started anew; the Consul agent that
//! they register at; and the demonstration of it all, `cargo run -p fleet`.

mod agent;
mod backend;
mod demo;
mod events;
mod serve;
mod stage;
mod table;
mod traffic;

pub use agent::Agent;
pub use backend::Backend;
pub use demo::{DemoFlags, demo};
pub use serve::{BackendFlags, consul_at, serve};
