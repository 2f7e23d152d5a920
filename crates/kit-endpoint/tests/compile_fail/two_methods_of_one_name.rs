//! two methods are called `sum`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
    async fn sum(&self, cx: &Context, req: u16) -> Result<u16, Error>; // here
}

fn main() {}
