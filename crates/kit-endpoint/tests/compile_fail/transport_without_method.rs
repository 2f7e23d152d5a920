//! `Bytes` cannot serve `String` -> `u8`

use kit_endpoint::{Context, Error, service};

#[service]
trait Measure {
    async fn measure(&self, cx: &Context, req: String) -> Result<u8, Error>;
}

struct Bytes;

fn serve(measure: impl Measure) -> Bytes {
    MeasureEndpoints::new(measure).bind(Bytes) // here
}

fn main() {}
