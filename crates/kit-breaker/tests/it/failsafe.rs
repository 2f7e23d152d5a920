//! Policies and back-off strategies of the crate failsafe.
