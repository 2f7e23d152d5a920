//! `sum` takes more than one request: put the fields into one struct

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, a: u8, b: u8) -> Result<u8, Error>; // here
}

fn main() {}
