//! `sum` must take `&self`: a service is shared by all calls that run

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&mut self, cx: &Context, req: u8) -> Result<u8, Error>; // here
}

fn main() {}
