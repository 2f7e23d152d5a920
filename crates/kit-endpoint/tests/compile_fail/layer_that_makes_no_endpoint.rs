//! `u32` is not an endpoint for requests of type `kit_endpoint::Request<u8>`

use kit_endpoint::{Context, Error, Layer, Request, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

struct Numbered;

impl<E> Layer<E> for Numbered {
    type Service = u32;

    fn layer(&self, _: E) -> u32 {
        1
    }
}

fn stack(add: impl Add) {
    let _ = AddEndpoints::new(add).layer(Numbered); // here
}

fn main() {}
