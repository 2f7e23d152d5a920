//! `sum` needs `cx: &Context` as its second parameter

use kit_endpoint::{Error, service};

#[service]
trait Add {
    async fn sum(&self, req: u8) -> Result<u8, Error>; // here
}

fn main() {}
