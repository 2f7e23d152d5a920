//! Peers that break the rules, on both sides: the right status, nothing hangs, memory is bounded, others are served.

mod answers;
mod breaks;
mod compressed;
mod crowd;
mod metadata;
mod parts;
mod peer;
mod random;
mod requests;
mod script;
mod timeouts;
