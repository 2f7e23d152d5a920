//! Tests of kit-lb-tower, through its public interface and tower's own balancer.

mod balance;
mod changes;
mod support;
