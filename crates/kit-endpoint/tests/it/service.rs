//! What `#[service]` makes of a trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kit_endpoint::base::{Deadline, Guard};
use kit_endpoint::{
    Context, Endpoint, EndpointExt, Error, Failure, Kind, Operation, Request, Response, endpoint_fn, finish_hook,
    service,
};

use crate::support::{Add, AddEndpoints, AddError, Basic, ConcatReply, ConcatRequest, Json, SumReply, SumRequest};

fn texts(a: &str, b: &str) -> ConcatRequest {
    ConcatRequest { a: a.into(), b: b.into() }
}

#[tokio::test]
async fn each_method_is_an_endpoint() {
    let endpoints = AddEndpoints::new(Basic);
    let answer = endpoints.sum.call(Request::new(SumRequest { a: 1, b: 2 })).await.unwrap();
    assert_eq!(answer.into_message(), SumReply { v: 3 });
    let error = endpoints.sum.call(Request::new(SumRequest { a: 0, b: 0 })).await.unwrap_err();
    assert!(matches!(error, AddError::TwoZeroes));
}

#[tokio::test]
async fn the_endpoints_are_the_service_again_whether_local_boxed_or_remote() {
    async fn check(add: impl Add) {
        let cx = Context::new();
        assert_eq!(add.sum(&cx, SumRequest { a: 1, b: 2 }).await.unwrap(), SumReply { v: 3 });
        let answer = add.concat(&cx, texts("a", "b")).await.unwrap();
        assert_eq!(answer.message(), &ConcatReply { v: "ab".into() });
        assert!(matches!(add.sum(&cx, SumRequest { a: 0, b: 0 }).await, Err(AddError::TwoZeroes)));
        assert_eq!(add.concat(&cx, texts("123456", "78901")).await.unwrap_err().kind(), Kind::OutOfRange);
    }
    check(Basic).await;
    check(Arc::new(Basic)).await;
    check(AddEndpoints::new(Basic)).await;
    check(AddEndpoints::new(Basic).boxed()).await;
    let transport = AddEndpoints::new(Basic).bind(Json::default());
    check(AddEndpoints::connect(&transport)).await;
    let remote: AddEndpoints = AddEndpoints::connect(&transport).boxed();
    check(remote.clone()).await;
    check(AddEndpoints::connect(&remote.bind(Json::default()))).await;
}

#[test]
fn operations_say_service_method_idempotence_and_the_names_of_transports() {
    let (sum, concat) = (AddEndpoints::SUM, AddEndpoints::CONCAT);
    assert_eq!((sum.service(), sum.method(), sum.is_idempotent()), ("addsvc", "sum", true));
    assert_eq!((sum.name_for("http"), sum.name_for("grpc")), (Some("PUT /v1/sum"), Some("pb.Add/Sum")));
    assert_eq!((concat.service(), concat.method(), concat.is_idempotent()), ("addsvc", "concat", false));
    assert_eq!((concat.name_for("http"), concat.name_for("grpc")), (Some("POST /concat"), Some("pb.Add/Concat")));
    assert_eq!(concat.name_for("nats"), None);
}

/// The operation that the service sees, by way of a header of the answer.
fn seen(answer: &Response<ConcatReply>) -> &str {
    answer.parts().unwrap().headers["x-method"].to_str().unwrap()
}

#[tokio::test]
async fn the_operation_is_the_methods_own_whatever_was_being_served_before() {
    let outer = Context::new().with_operation(Operation::new("gateway", "everything"));
    let endpoints = AddEndpoints::new(Basic);
    let answer = endpoints.concat.call(Request::from_parts(outer.clone(), texts("a", "b"))).await.unwrap();
    assert_eq!(seen(&answer), "concat");
    let answer = endpoints.boxed().concat(&outer, texts("a", "b")).await.unwrap();
    assert_eq!(seen(&answer), "concat");
}

#[tokio::test]
async fn a_call_as_a_service_keeps_the_rest_of_the_context() {
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(60));
    let cx = Context::new().with_deadline(deadline).with_extension(7u8);
    let endpoints = AddEndpoints::new(Basic).map_sum(|_| {
        endpoint_fn(move |req: Request<SumRequest>| async move {
            assert_eq!(req.context().operation(), &AddEndpoints::SUM);
            assert_eq!(req.context().deadline(), Some(deadline));
            assert_eq!(req.context().extensions().get(), Some(&7u8));
            Ok::<_, AddError>(Response::new(SumReply { v: 5 }))
        })
    });
    assert_eq!(endpoints.sum(&cx, SumRequest { a: 0, b: 0 }).await.unwrap().v, 5);
}

#[tokio::test]
async fn a_panic_in_a_method_is_an_internal_error_and_the_service_lives() {
    let endpoints = AddEndpoints::new(Basic);
    let error = endpoints.concat.call(Request::new(texts("pa", "nic"))).await.unwrap_err();
    let error = Error::from(error);
    assert_eq!((error.kind(), error.reason()), (Kind::Internal, Some("PANIC")));
    assert!(endpoints.concat.call(Request::new(texts("a", "b"))).await.is_ok());
}

#[tokio::test]
async fn a_layer_over_all_endpoints_is_one_state_and_a_layer_over_one_is_its_own() {
    fn counter() -> (Arc<AtomicUsize>, impl Fn(&kit_endpoint::Finished<'_>) + Send + Sync + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let hook = Arc::clone(&count);
        (count, move |_: &kit_endpoint::Finished<'_>| {
            hook.fetch_add(1, Ordering::Relaxed);
        })
    }
    let ((all, count_all), (one, count_one)) = (counter(), counter());
    let endpoints = AddEndpoints::new(Basic)
        .layer_sum(Guard::new(finish_hook(count_one)))
        .layer(Guard::new(finish_hook(count_all)));
    let cx = Context::new();
    endpoints.sum(&cx, SumRequest { a: 1, b: 2 }).await.unwrap();
    endpoints.clone().concat(&cx, texts("a", "b")).await.unwrap();
    assert_eq!((all.load(Ordering::Relaxed), one.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test]
async fn layers_on_a_bound_service_know_what_is_called_even_if_the_transport_does_not_say() {
    let endpoints =
        AddEndpoints::new(Basic).layer(Guard::new(finish_hook(|call| assert_eq!(call.operation, &AddEndpoints::SUM))));
    let transport = endpoints.bind(Json::default());
    transport.call_without_a_name("PUT /v1/sum", br#"{"a":1,"b":2}"#).await.unwrap();
}

#[tokio::test]
async fn a_fake_replaces_the_remote_service_in_one_line() {
    /// The code under test: it knows the trait, not where the service is.
    struct Doubler<A>(A);

    impl<A: Add> Doubler<A> {
        async fn double(&self, n: i64) -> i64 {
            self.0.sum(&Context::new(), SumRequest { a: n, b: n }).await.map_or(-1, |reply| reply.v)
        }
    }

    let remote = AddEndpoints::connect(&AddEndpoints::new(Basic).bind(Json::default()));
    assert_eq!(Doubler(remote).double(4).await, 8);

    let fake = AddEndpoints::new(Basic)
        .map_sum(|_| endpoint_fn(async |_: Request<SumRequest>| Err::<Response<_>, _>(Error::unavailable("down"))));
    assert_eq!(Doubler(fake).double(4).await, -1);
}

/// Names that get in each other's way: messages called like methods and like generated parameters, keywords.
mod awkward {
    use super::{Context, Error, service};

    #[derive(Debug)]
    pub(super) struct Sum(pub(super) u8);
    #[derive(Debug)]
    pub(super) struct S;
    #[derive(Debug)]
    pub(super) struct L;
    #[derive(Debug)]
    pub(super) struct T;
    pub(super) type E = Error;

    #[service]
    pub(super) trait HttpThings {
        async fn sum(&self, cx: &Context, req: Sum) -> Result<S, E>;

        async fn r#match(&self, _: &Context, req: L) -> std::result::Result<T, kit_endpoint::Error>;

        async fn layer(&self, cx: &Context, _req: ()) -> Result<(), Error>;

        /// Older implementations do without.
        async fn added_later(&self, cx: &Context, req: Sum) -> Result<u8, Error> {
            let Sum(number) = req;
            number.checked_add(1).ok_or_else(|| Error::out_of_range(format!("{number} in {cx:?}")))
        }
    }

    #[derive(Debug)]
    pub(super) struct Things;

    impl HttpThings for Things {
        async fn sum(&self, _: &Context, _: Sum) -> Result<S, E> {
            Ok(S)
        }

        async fn r#match(&self, cx: &Context, _: L) -> Result<T, Error> {
            assert_eq!(cx.operation().to_string(), "http_things/match");
            Ok(T)
        }

        async fn layer(&self, _: &Context, (): ()) -> Result<(), Error> {
            Ok(())
        }
    }
}

#[tokio::test]
async fn names_of_methods_and_messages_are_free() {
    use awkward::{HttpThings, HttpThingsEndpoints, L, Sum, Things};

    let endpoints = HttpThingsEndpoints::new(Things).boxed();
    let cx = Context::new();
    endpoints.sum(&cx, Sum(1)).await.unwrap();
    endpoints.r#match(&cx, L).await.unwrap();
    HttpThings::layer(&endpoints, &cx, ()).await.unwrap();
    assert_eq!(HttpThingsEndpoints::MATCH.name_for("http"), Some("POST /match"));
    assert_eq!(HttpThingsEndpoints::MATCH.name_for("grpc"), None);
}

#[tokio::test]
async fn a_method_with_a_body_is_there_for_implementations_without_it() {
    use awkward::{HttpThingsEndpoints, Sum, Things};

    let endpoints = HttpThingsEndpoints::new(Things);
    assert_eq!(endpoints.added_later.call(Request::new(Sum(1))).await.unwrap().into_message(), 2);
    let error = endpoints.added_later.call(Request::new(Sum(255))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutOfRange);
}

#[tokio::test]
async fn an_error_enum_of_ones_own_goes_through_five_layers_unchanged() {
    let hook = || Guard::new(finish_hook(|_| {}));
    let limits = kit_endpoint::DeadlineLayer::new().with_default(Duration::from_secs(1)).unwrap();
    let endpoints = AddEndpoints::new(Basic).layer((hook(), limits, hook(), limits, hook()));
    let error = endpoints.sum.call(Request::new(SumRequest { a: i64::MAX, b: 1 })).await.unwrap_err();
    assert!(matches!(error, AddError::Overflow { a: i64::MAX, b: 1 }));
    assert_eq!(
        endpoints
            .sum
            .named(AddEndpoints::SUM)
            .get_ref()
            .call(Request::new(SumRequest { a: 1, b: 1 }))
            .await
            .unwrap()
            .message()
            .v,
        2
    );
}
