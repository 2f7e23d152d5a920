//! `shout` cannot borrow its messages: requests and answers are owned values

use kit_endpoint::{Context, Error, service};

#[service]
trait Shout {
    async fn shout(&self, cx: &Context, req: &str) -> Result<String, Error>; // here
}

fn main() {}
