//! the service `Add` has no methods: give it one

#[kit_endpoint::service]
trait Add {} // here

fn main() {}
