//! the trait bound `Bare: From<kit_endpoint::Error>` is not satisfied

use kit_endpoint::base::Guard;
use kit_endpoint::{EndpointExt, Request, Response, endpoint_fn, finish_hook};

enum Bare {}

fn main() {
    let endpoint = endpoint_fn(async |_: Request<u8>| Ok::<_, Bare>(Response::new(1)));
    let _ = endpoint.layer(Guard::new(finish_hook(|_| {}))); // here
}
