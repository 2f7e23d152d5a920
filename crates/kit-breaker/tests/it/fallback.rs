//! The fallback.
