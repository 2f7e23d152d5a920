//! `Rc<u8>` cannot be sent between threads safely

use std::rc::Rc;

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: Rc<u8>) -> Result<u8, Error>; // here
}

fn main() {}
