//! `sum` needs a request as its third parameter: `req: ()` if it is empty

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context) -> Result<u8, Error>; // here
}

fn main() {}
