//! a service cannot have associated types: name the types in its methods

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    type Request; // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
