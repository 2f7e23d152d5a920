//! The gateway: `cargo run -p apigateway`.
fn main() {}
