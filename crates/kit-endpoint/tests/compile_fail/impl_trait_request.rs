//! `sum` cannot be generic: an endpoint has one type of request and one type of answer

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: impl Into<u8>) -> Result<u8, Error>; // here
}

fn main() {}
