//! Where the errors of a service arose, as its callers see it: what a retry goes by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kit_endpoint::base::{End, Gate, Guard, Now, Origin, RetryHint};
use kit_endpoint::{Context, Endpoint, Error, Failure, Kind, Request, Response, service};

#[derive(Debug, kit_endpoint::Error)]
enum OrderError {
    #[kit(kind = InvalidArgument, message = "nothing is ordered")]
    Nothing,
    #[kit(other)]
    Other(Error),
}

#[service]
trait Orders {
    /// With an enum of its own.
    async fn order(&self, cx: &Context, count: u32) -> Result<u32, OrderError>;

    /// With kit's error, and a response.
    async fn cancel(&self, cx: &Context, count: u32) -> Result<Response<u32>, Error>;
}

/// A service that has done something before it finds that the service behind it cannot be reached.
#[derive(Default)]
struct Shop {
    charged: Arc<AtomicU32>,
    origin: Origin,
}

impl Shop {
    /// The client of the service behind.
    fn ship(&self) -> Result<u32, Error> {
        Err(Error::unavailable("no connection").with_origin(self.origin).with_retry_hint(RetryHint::Never))
    }
}

impl Orders for Shop {
    async fn order(&self, _: &Context, count: u32) -> Result<u32, OrderError> {
        if count == 0 {
            return Err(OrderError::Nothing);
        }
        self.charged.fetch_add(count, Ordering::Relaxed);
        Ok(self.ship()?)
    }

    async fn cancel(&self, _: &Context, count: u32) -> Result<Response<u32>, Error> {
        self.charged.fetch_add(count, Ordering::Relaxed);
        self.ship().map(Response::new)
    }
}

fn shop(origin: Origin) -> (Arc<AtomicU32>, Shop) {
    let charged = Arc::default();
    (Arc::clone(&charged), Shop { charged, origin })
}

#[tokio::test]
async fn an_error_from_further_down_is_the_answer_of_the_method_that_returns_it() {
    for origin in [Origin::NotSent, Origin::LocalRefusal, Origin::Remote] {
        let (charged, shop) = shop(origin);
        let endpoints = OrdersEndpoints::new(shop);

        let error = endpoints.order.call(Request::new(3)).await.unwrap_err();
        assert_eq!((error.kind(), Failure::origin(&error)), (Kind::Unavailable, Origin::Remote));
        // All else that it says is kept.
        let error = Error::from(error);
        assert_eq!((error.origin(), error.message()), (Origin::Remote, "no connection"));
        assert_eq!(error.retry_hint(), RetryHint::Never);

        let error = endpoints.cancel.call(Request::new(4)).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote));
        assert_eq!((error.message(), error.retry_hint()), ("no connection", RetryHint::Never));

        // The method has run, each time: this is what another try would do once more.
        assert_eq!(charged.load(Ordering::Relaxed), 7);
    }
}

#[tokio::test]
async fn it_is_an_answer_to_callers_of_the_boxed_service_too() {
    let (_, shop) = shop(Origin::NotSent);
    let orders = OrdersEndpoints::new(shop).boxed();
    let cx = Context::new();
    assert_eq!(Failure::origin(&orders.order(&cx, 1).await.unwrap_err()), Origin::Remote);
    assert_eq!(orders.cancel(&cx, 1).await.unwrap_err().origin(), Origin::Remote);
    assert!(matches!(orders.order(&cx, 0).await, Err(OrderError::Nothing)));
}

/// Refuses every call.
struct Closed;

impl<Req, Res, Err> Gate<Req, Res, Err> for Closed {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Err(Error::resource_exhausted("closed"))
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

#[tokio::test]
async fn a_refusal_by_a_layer_around_the_service_stays_one() {
    let (charged, shop) = shop(Origin::Remote);
    let orders = OrdersEndpoints::new(shop).layer(Guard::new(Closed)).boxed();
    let cx = Context::new();
    for _ in 0..2 {
        let error = orders.order(&cx, 1).await.unwrap_err();
        assert_eq!((error.kind(), Failure::origin(&error)), (Kind::ResourceExhausted, Origin::LocalRefusal));
        let error = orders.cancel(&cx, 1).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    }
    assert_eq!(charged.load(Ordering::Relaxed), 0);
}
