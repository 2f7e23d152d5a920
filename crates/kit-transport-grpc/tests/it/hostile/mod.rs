//! Peers that break the rules, on both sides: the right status, nothing hangs, memory is bounded, others are served.

mod peer;
mod requests;
