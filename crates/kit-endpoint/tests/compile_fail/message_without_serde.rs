//! the trait bound `SumRequest: serde::Deserialize<'de>` is not satisfied

use kit_endpoint::base::{Bind, Unary};
use kit_endpoint::{Context, Endpoint, Error, Operation, Request, Response, service};
use serde::Serialize;
use serde::de::DeserializeOwned;

struct SumRequest;

#[service]
trait Add {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<u8, Error>;
}

struct Json;

impl<Req: DeserializeOwned, Res: Serialize> Bind<Unary, Req, Res> for Json {
    fn bind<E>(&mut self, _: Operation, _: E)
    where
        E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
    }
}

fn serve(add: impl Add) -> Json {
    AddEndpoints::new(add).bind(Json) // here
}

fn main() {}
