//! `Response<{integer}>` is not a future

use kit_endpoint::{EndpointExt, Request, Response, nop};

fn main() {
    let _ = nop::<u8, u8>().middleware(|_: Request<u8>, _| Response::new(1)); // here
}
