//! `#[service]` describes a service by a trait: put it on one

#[kit_endpoint::service]
struct Add; // here

fn main() {}
