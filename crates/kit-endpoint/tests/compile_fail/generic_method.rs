//! `sum` cannot be generic: an endpoint has one type of request and one type of answer

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum<T: Send>(&self, cx: &Context, req: T) -> Result<u8, Error>; // here
}

fn main() {}
