//! The laws of middleware, by the checker.
