//! `AddError` cannot be used as the error of an endpoint here

use kit_endpoint::{Context, service};

pub enum AddError {
    TwoZeroes,
}

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: u8) -> Result<u8, AddError>; // here
}

fn main() {}
