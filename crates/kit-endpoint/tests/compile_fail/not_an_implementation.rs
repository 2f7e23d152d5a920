//! the trait bound `Basic: Add` is not satisfied

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

struct Basic;

fn main() {
    let _ = AddEndpoints::new(Basic); // here
}
