//! Peers that break the rules, on both sides: the right status, nothing hangs, memory is bounded, others are served.

mod compressed;
mod metadata;
mod parts;
mod peer;
mod requests;
mod timeouts;
