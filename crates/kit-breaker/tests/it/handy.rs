//! The published behaviour of handy and of hystrix.
