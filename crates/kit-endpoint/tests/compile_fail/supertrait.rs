//! the service `Add` cannot have supertraits: it is `Send + Sync + 'static` by itself, and a remote one has nothing else

use kit_endpoint::{Context, Error, service};

#[service]
trait Add: Clone { // here
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

fn main() {}
