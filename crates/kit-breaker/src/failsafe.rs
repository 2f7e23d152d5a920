//! Failure policies of the crate failsafe.
