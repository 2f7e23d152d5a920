//! Peers that break the rules, on both sides: the right status, nothing hangs, memory is bounded, others are served.

mod answers;
mod compressed;
mod metadata;
mod parts;
mod peer;
mod requests;
mod script;
mod timeouts;
