//! service methods must be `async fn`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>; // here
}

fn main() {}
