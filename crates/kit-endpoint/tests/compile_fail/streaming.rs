//! streaming methods are not supported yet

use kit_endpoint::base::Streaming;
use kit_endpoint::{Context, Error, Response, service};

#[service]
trait Count {
    async fn count(&self, cx: &Context, req: u8) -> Result<Response<Streaming<u8>>, Error>; // here
}

fn main() {}
