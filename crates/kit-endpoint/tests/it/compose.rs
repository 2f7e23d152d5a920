//! Layers, functions, names and boxes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kit_endpoint::base::{Guard, IntoService};
use kit_endpoint::{
    BoxEndpoint, Context, Endpoint, EndpointExt, Error, Kind, Layer, Next, Operation, Request, Response, chain,
    endpoint_fn, finish_hook, middleware_fn, nop,
};

/// A middleware by hand: writes down when it is entered and left.
#[derive(Clone)]
struct Annotate {
    name: &'static str,
    log: Arc<Mutex<Vec<String>>>,
}

struct Annotated<E> {
    inner: E,
    annotate: Annotate,
}

impl<E> Layer<E> for Annotate {
    type Service = Annotated<E>;

    fn layer(&self, inner: E) -> Annotated<E> {
        Annotated { inner, annotate: self.clone() }
    }
}

impl<T: Send, E: Endpoint<Request<T>>> Endpoint<Request<T>> for Annotated<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Request<T>) -> Result<E::Response, E::Error> {
        let Annotate { name, log } = &self.annotate;
        log.lock().unwrap().push(format!("{name} pre"));
        let outcome = self.inner.call(req).await;
        log.lock().unwrap().push(format!("{name} post"));
        outcome
    }
}

/// Go kit's `ExampleChain`.
#[tokio::test]
async fn a_chain_is_entered_from_the_first_to_the_last_and_left_the_other_way() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let annotate = |name| Annotate { name, log: Arc::clone(&log) };
    let inner = Arc::clone(&log);
    let endpoint = endpoint_fn(move |_: Request<()>| {
        inner.lock().unwrap().push("my endpoint!".to_owned());
        async { Ok::<_, Error>(Response::new(())) }
    })
    .layer(chain((annotate("first"), annotate("second"), annotate("third"))));
    endpoint.call(Request::new(())).await.unwrap();
    assert_eq!(
        *log.lock().unwrap(),
        ["first pre", "second pre", "third pre", "my endpoint!", "third post", "second post", "first post"]
    );
}

#[tokio::test]
async fn an_empty_chain_changes_nothing() {
    #[expect(clippy::unit_arg, reason = "a chain of none is `()`")]
    let endpoint = nop::<u8, ()>().layer(chain(()));
    endpoint.call(Request::new(1)).await.unwrap();
}

#[tokio::test]
async fn nop_answers_the_default_to_everybody() {
    assert_eq!(nop::<u8, String>().call(Request::new(1)).await.unwrap().into_message(), "");
    assert_eq!(nop::<&str, u8>().call(Request::new("x")).await.unwrap().into_message(), 0);
}

#[tokio::test]
async fn a_middleware_may_call_next_never_once_or_more_often() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let endpoint = endpoint_fn(move |req: Request<u32>| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Error>(Response::new(number + req.into_message())) }
    });
    let times = middleware_fn(async |req: Request<u32>, next: Next<_>| {
        let mut sum = 0;
        for _ in 0..*req.message() {
            let answer: Response<u32> = next.call(req.clone()).await?;
            sum += answer.into_message();
        }
        Ok::<_, Error>(Response::new(sum))
    });
    let endpoint = endpoint.layer(times);
    for (times, sum, total) in [(0, 0, 0), (1, 1, 1), (3, 1 + 2 + 3 + 9, 4)] {
        assert_eq!(endpoint.call(Request::new(times)).await.unwrap().into_message(), sum);
        assert_eq!(calls.load(Ordering::Relaxed), total);
    }
}

#[tokio::test]
async fn a_middleware_written_in_place_needs_no_types_and_may_change_the_answers_type() {
    let prefix = Arc::new("v = ".to_owned());
    let endpoint =
        nop::<String, u8>().middleware(|req, next| async move { next.call(req).await }).middleware(move |req, next| {
            let prefix = Arc::clone(&prefix);
            async move {
                let answer = next.call(req).await?;
                Ok::<_, Error>(answer.map(|number| format!("{prefix}{number}")))
            }
        });
    assert_eq!(endpoint.call(Request::new(String::new())).await.unwrap().into_message(), "v = 0");
}

#[tokio::test]
async fn a_name_is_given_to_calls_that_have_none() {
    let endpoint =
        endpoint_fn(async |req: Request<()>| Ok::<_, Error>(Response::new(req.context().operation().to_string())))
            .named(Operation::new("users", "get"));
    assert_eq!(endpoint.call(Request::new(())).await.unwrap().into_message(), "users/get");
    let named = Request::from_parts(Context::new().with_operation(Operation::new("a", "b")), ());
    assert_eq!(endpoint.call(named).await.unwrap().into_message(), "a/b");
}

#[tokio::test]
async fn a_boxed_endpoint_is_shared_by_its_clones_and_boxed_once() {
    let drops = Arc::new(());
    let held = Arc::clone(&drops);
    let boxed: BoxEndpoint<Request<u8>, Response<usize>, Error> = endpoint_fn(move |_: Request<u8>| {
        let held = Arc::clone(&held);
        async move { Ok(Response::new(Arc::strong_count(&held))) }
    })
    .boxed();
    let again = boxed.clone().boxed();
    // Ours, the endpoint's, and that of the call.
    assert_eq!(again.call(Request::new(1)).await.unwrap().into_message(), 3);
    drop((boxed, again));
    assert_eq!(Arc::strong_count(&drops), 1);
}

#[tokio::test]
async fn a_box_turns_the_error_into_its_own() {
    let boxed: BoxEndpoint<Request<u8>, Response<()>, crate::support::AddError> =
        BoxEndpoint::new(endpoint_fn(async |_: Request<u8>| Err::<Response<()>, _>(Error::unavailable("down"))));
    let error = Error::from(boxed.call(Request::new(1)).await.unwrap_err());
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "down"));
}

#[tokio::test]
async fn gates_go_in_by_method_or_as_a_layer_and_endpoints_out_as_services() {
    let count = Arc::new(AtomicU32::new(0));
    let hook = |count: &Arc<AtomicU32>| {
        let count = Arc::clone(count);
        finish_hook(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
    };
    let endpoint = nop::<u8, ()>().guard((hook(&count), hook(&count))).layer(Guard::new(hook(&count)));
    endpoint.call(Request::new(1)).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 3);
    let service: IntoService<_> = endpoint.into_service();
    let _ = service.clone();
}
