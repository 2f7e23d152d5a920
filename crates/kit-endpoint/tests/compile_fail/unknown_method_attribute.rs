//! unknown attribute `idempotant` on a service method: expected `idempotent`, `http` or `grpc`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    #[idempotant] // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
