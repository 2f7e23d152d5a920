//! One breaker a key.
