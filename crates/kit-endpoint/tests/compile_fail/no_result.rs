//! `sum` must return `Result<Reply, Error>`, with both types named

use kit_endpoint::{Context, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> u8; // here
}

fn main() {}
