//! One breaker a key, and a bounded number of keys.
