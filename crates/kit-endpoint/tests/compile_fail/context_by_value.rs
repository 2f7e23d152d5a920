//! `sum` needs `cx: &Context` as its second parameter

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(
        &self,
        cx: Context, // here
        req: u8,
    ) -> Result<u8, Error>;
}

fn main() {}
