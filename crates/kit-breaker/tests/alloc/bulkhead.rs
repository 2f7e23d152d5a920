//! What a call at a bulkhead allocates.

use kit_base::{Endpoint, Error, Request, Response};
use kit_breaker::Bulkhead;
use kit_testing::alloc;
use tower_layer::Layer;

struct Echo;

impl Endpoint<Request<u64>> for Echo {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Error> {
        Ok(Response::new(request.into_message()))
    }
}

/// A call that finds a place allocates nothing.
pub(crate) fn check() {
    let endpoint = Bulkhead::new(10).expect("places").queue(10).layer(Echo);
    drop(alloc::count_ready(|| endpoint.call(Request::new(7))));
    for _ in 0..100 {
        let (answer, counts) = alloc::count_ready(|| endpoint.call(Request::new(7)));
        assert_eq!(answer.expect("an answer").into_message(), 7);
        assert_eq!(counts.allocations, 0, "a bulkhead: {counts}");
    }
}
