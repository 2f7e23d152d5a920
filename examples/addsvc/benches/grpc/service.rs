//! The service that all of them serve, and its one call: a sum.

use kit_endpoint::{Context, Error, service};

/// What is asked.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct SumRequest {
    #[prost(int64, tag = "1")]
    pub(crate) a: i64,
    #[prost(int64, tag = "2")]
    pub(crate) b: i64,
}

/// What is answered.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SumReply {
    #[prost(int64, tag = "1")]
    pub(crate) v: i64,
    #[prost(string, tag = "2")]
    pub(crate) err: String,
}

/// The service, as kit takes it.
#[service(name = "addsvc", grpc = "pb.Add")]
pub(crate) trait Sums {
    #[idempotent]
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, Error>;
}

/// The logic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summer;

impl Sums for Summer {
    async fn sum(&self, _: &Context, req: SumRequest) -> Result<SumReply, Error> {
        Ok(sum(req))
    }
}

pub(crate) fn sum(req: SumRequest) -> SumReply {
    SumReply { v: req.a + req.b, err: String::new() }
}

/// The call that is made.
pub(crate) const CALL: SumRequest = SumRequest { a: 12, b: 34 };
