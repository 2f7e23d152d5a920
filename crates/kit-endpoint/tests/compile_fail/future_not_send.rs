//! future cannot be sent between threads safely

use std::rc::Rc;

use kit_endpoint::{Context, Error, service};

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, Error>;
}

struct Basic;

impl Add for Basic {
    async fn sum(&self, _: &Context, req: u8) -> Result<u8, Error> { // here
        let held = Rc::new(req);
        std::future::ready(()).await;
        Ok(*held)
    }
}

fn main() {}
