//! `concat` and `sum` are both called `POST /add`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    #[http("POST /add")]
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
    #[http("POST /add")]
    async fn concat(&self, cx: &Context, req: String) -> Result<String, Error>; // here
}

fn main() {}
