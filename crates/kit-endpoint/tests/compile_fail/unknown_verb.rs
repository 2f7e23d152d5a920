//! unknown verb `FETCH` in `#[http]`: expected `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    #[http("FETCH /sum")] // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
