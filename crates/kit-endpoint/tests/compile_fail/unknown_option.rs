//! unknown option `nme`: expected `name` or `grpc`

use kit_endpoint::{Context, Error, service};

#[service(nme = "addsvc")] // here
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
