//! The tests of kit-endpoint: one binary, one module for each concern.

mod service;
mod support;
