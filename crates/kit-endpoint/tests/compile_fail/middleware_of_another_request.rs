//! type mismatch in function arguments

use kit_endpoint::{EndpointExt, Error, Next, Request, Response, endpoint_fn, middleware_fn};

fn main() {
    let double = endpoint_fn(async |req: Request<u8>| Ok::<_, Error>(Response::new(req.into_message())));
    let texts = middleware_fn(async |req: Request<String>, next: Next<_>| next.call(req).await);
    let _ = double.layer(texts); // here
}
