//! `#[grpc]` on a method needs the service's name: `#[service(grpc = "package.Service")]`

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    #[grpc("Sum")] // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
