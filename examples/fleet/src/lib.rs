//! A fleet of addsvc: backends that are programs of their own, started, stopped, killed and started anew.

mod backend;
mod serve;

pub use backend::{Backend, StartError};
pub use serve::{BackendFlags, serve};
