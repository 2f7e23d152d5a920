//! The five places: an endpoint, an axum router, a tonic server, a tonic `Channel`, and a `reqwest::Client`.

use std::sync::atomic::Ordering::SeqCst;

use axum::body::Body;
use http::Request;
use kit_base::{Endpoint, Error, FromHttpService, Kind, Origin, ServiceError, Tower};
use kit_ratelimit::{Keyed, Layer, Limited};
use kit_testing::backend::{Backend, Reply, Script};
use kit_testing::clock::ManualClock;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::health::{Backend as Health, behind, word};
use super::{Limit, five, routes, serve};
use crate::support::{Echo, ms, quota};

/// What a caller sees: whether the call passed.
type Passed = bool;

/// Five at once pass and reach what is behind, one more for each fifth of a second, and no other.
async fn holds(clock: &ManualClock, ask: impl AsyncFn() -> Passed, reached: impl Fn() -> usize) {
    let pass_of = async |calls: usize| {
        let before = reached();
        let mut passed = 0;
        for _ in 0..calls {
            passed += usize::from(ask().await);
        }
        assert_eq!(reached() - before, passed, "a refused call reaches nobody");
        passed
    };
    assert_eq!(pass_of(8).await, 5);
    clock.advance(ms(199));
    assert_eq!(pass_of(2).await, 0);
    clock.advance(ms(1));
    assert_eq!(pass_of(3).await, 1);
    clock.advance(ms(600));
    assert_eq!(pass_of(6).await, 3);
    clock.advance(ms(60_000));
    assert_eq!(pass_of(8).await, 5);
}

fn check(refusal: &Error) {
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!((refusal.message(), refusal.reason()), ("rate limit exceeded", Some("RATE_LIMITED")));
    let limited = Limited::of(refusal).unwrap();
    assert_eq!((limited.cost, limited.standing.limit.get(), limited.standing.remaining), (1, 5, 0));
    assert_eq!((refusal.retry_after(), refusal.retry_after().unwrap() <= ms(200)), (limited.retry_after, true));
}

fn check_status(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "rate limit exceeded"));
    assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_LIMITED");
    assert!(status.get_details_retry_info().unwrap().retry_delay.unwrap() <= ms(200));
    assert!(status.metadata().contains_key("ratelimit"));
}

/// An echo whose answers have room for metadata.
#[derive(Debug)]
struct Replies(Echo);

impl Endpoint<kit_base::Request<usize>> for Replies {
    type Response = kit_base::Response<usize>;
    type Error = Error;

    async fn call(&self, request: kit_base::Request<usize>) -> Result<kit_base::Response<usize>, Error> {
        self.0.call(request).await.map(kit_base::Response::new)
    }
}

/// Each place with this limit, made anew for each, of the request that there is.
macro_rules! places {
    ($name:ident, |$request:ident| $gate:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn over_an_endpoint() {
                type $request = kit_base::Request<usize>;
                let (limit, echo) = (Limit::of($gate), Echo::default());
                let endpoint = limit.guard.layer(Replies(echo.clone()));
                let ask = async || match endpoint.call($request::new(1)).await {
                    Ok(answer) => answer.into_message() == 1,
                    Err(refusal) => {
                        check(&refusal);
                        false
                    }
                };
                holds(&limit.clock, ask, || echo.reached()).await;
            }

            #[tokio::test]
            async fn over_an_axum_router() {
                #[allow(dead_code, reason = "a limit of all does not look at it")]
                type $request = Request<Body>;
                let limit = Limit::of($gate);
                let (router, calls) = routes();
                let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
                let ask = async || {
                    let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
                    if answer.status() == 200 {
                        return true;
                    }
                    assert_eq!(
                        (answer.status().as_u16(), &answer.headers()["retry-after"]),
                        (429, &"1".parse().unwrap())
                    );
                    assert!(answer.text().await.unwrap().contains("RATE_LIMITED"));
                    false
                };
                holds(&limit.clock, ask, || calls.load(SeqCst)).await;
            }

            #[tokio::test]
            async fn over_a_tonic_server() {
                #[allow(dead_code, reason = "a limit of all does not look at it")]
                type $request = Request<tonic::body::Body>;
                let limit = Limit::of($gate);
                let backend = behind!(Tower::new(limit.guard.clone()).answered());
                let client = HealthClient::new(backend.channel());
                let ask =
                    async || client.clone().check(word("ok")).await.map_err(|status| check_status(&status)).is_ok();
                holds(&limit.clock, ask, || backend.reached()).await;
            }

            #[tokio::test]
            async fn over_a_tonic_channel() {
                #[allow(dead_code, reason = "a limit of all does not look at it")]
                type $request = Request<tonic::body::Body>;
                let (limit, backend) = (Limit::of($gate), Health::start());
                let channel = Tower::new(limit.guard.clone()).answered().layer(backend.channel());
                let client = HealthClient::new(channel);
                let ask =
                    async || client.clone().check(word("ok")).await.map_err(|status| check_status(&status)).is_ok();
                holds(&limit.clock, ask, || backend.reached()).await;
            }

            #[tokio::test]
            async fn over_a_reqwest_client() {
                #[allow(dead_code, reason = "a limit of all does not look at it")]
                type $request = Request<String>;
                let limit = Limit::of($gate);
                let backend = Backend::start(Script::by(|_| Reply::ok().body("good"))).await.unwrap();
                let client = limit.guard.layer(FromHttpService::new(reqwest::Client::new()));
                let ask = async || {
                    let request = Request::get(backend.url()).body(String::new()).unwrap();
                    match client.call(request).await {
                        Ok(answer) => answer.status() == 200,
                        Err(ServiceError::Refused(refusal)) => {
                            check(&refusal);
                            false
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                };
                holds(&limit.clock, ask, || backend.requests().len()).await;
            }
        }
    };
}

places!(one_for_all, |Req| five());
places!(with_headers, |Req| five().with_headers());
places!(by_key, |Req| Keyed::by(quota(5, 5), |_: &Req| Some("the only one")));
places!(by_no_key, |Req| Keyed::by(quota(5, 5), |_: &Req| None::<u8>));
places!(by_operation, |Req| Keyed::per_operation(quota(5, 5)));
places!(by_peer, |Req| Keyed::per_peer(quota(5, 5)));
