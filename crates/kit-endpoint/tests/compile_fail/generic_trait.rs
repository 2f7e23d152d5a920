//! the service `Add` cannot be generic: its methods name their types

use kit_endpoint::{Context, Error, service};

#[service]
trait Add<T> { // here
    async fn sum(&self, cx: &Context, req: T) -> Result<u8, Error>;
}

fn main() {}
