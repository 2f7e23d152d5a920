//! the path `sum` in `#[http]` must begin with `/`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    #[http("POST sum")] // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
