//! Retries over a body that can be sent again: as an `async fn` within a proxy, and tower's.

use std::future::{Ready, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kit_base::{Endpoint, Error, FromHttpService, Operation, Origin, RequestParts};
use kit_testing::backend::{Backend as Up, Reply};
use kit_transport_http::{Backend, ProxyBody, Replay, ReverseProxy};
use tower::{Layer, Service, ServiceExt};

use crate::proxy_support::{data, proxied, sent, trailers, up};
use crate::support::Notes;

/// Tries once more: what is idempotent after 503, and what was not sent.
struct Again<E>(E);

impl<E, B2> Endpoint<Request<ProxyBody>> for Again<E>
where
    E: Endpoint<Request<Replay<ProxyBody>>, Response = Response<B2>, Error = Error>,
    B2: Send,
{
    type Response = Response<B2>;
    type Error = Error;

    async fn call(&self, request: Request<ProxyBody>) -> Result<Response<B2>, Error> {
        let idempotent = request.operation().is_idempotent();
        let (head, body) = request.into_parts();
        let body = Replay::with_cap(body, 1000);
        let spare = body.try_clone();
        let outcome = self.0.call(Request::from_parts(head.clone(), body)).await;
        let again = match &outcome {
            Ok(answer) => idempotent && answer.status() == 503,
            Err(error) => error.origin() == Origin::NotSent,
        };
        match spare {
            Some(spare) if again && spare.is_replayable() => self.0.call(Request::from_parts(head, spare)).await,
            _ => outcome,
        }
    }
}

fn put(idempotent: bool, body: &'static [u8]) -> Request<Full<Bytes>> {
    let mut request = Request::put("/").body(Full::new(Bytes::from_static(body))).unwrap();
    request.extensions_mut().insert(Operation::new("test", "put").with_idempotent(idempotent));
    request
}

#[tokio::test]
async fn a_backend_that_answers_503_first_gets_the_same_bytes_twice() {
    let origin = Up::start([Reply::status(503), Reply::ok().body("done")]).await.unwrap();
    let proxy = ReverseProxy::with_endpoint(origin.url(), Again(Backend::new())).unwrap();
    let Ok(answer) = proxy.call(put(true, b"hello")).await;
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
    let asked = origin.requests();
    assert_eq!(asked.iter().map(|request| &request.body()[..]).collect::<Vec<_>>(), [b"hello", b"hello"]);
    assert!(asked.iter().all(|request| request.headers()["content-length"] == "5"));
}

#[tokio::test]
async fn what_is_not_idempotent_or_too_long_is_sent_once() {
    let origin = Up::start(Reply::status(503)).await.unwrap();
    let proxy = ReverseProxy::with_endpoint(origin.url(), Again(Backend::new())).unwrap();
    let Ok(answer) = proxy.call(put(false, b"hello")).await;
    assert_eq!((answer.status().as_u16(), origin.requests().len()), (503, 1));
    let Ok(answer) = proxy.call(put(true, &[b'x'; 1001])).await;
    assert_eq!((answer.status().as_u16(), origin.requests().len()), (503, 2));
    // And one whose length is not known before.
    let (sender, body) = sent();
    let sending = async move {
        for _ in 0..3 {
            sender.send(data(vec![b'x'; 400])).await.unwrap();
        }
    };
    let mut request = Request::put("/").body(body).unwrap();
    request.extensions_mut().insert(Operation::new("test", "put").with_idempotent(true));
    let (Ok(answer), ()) = tokio::join!(proxy.call(request), sending);
    assert_eq!(answer.status(), 503);
    let asked = origin.requests();
    assert_eq!((asked.len(), asked[2].body().len()), (3, 1200), "all of it has arrived, once");
}

#[tokio::test]
async fn a_stream_with_trailers_that_was_cut_half_way_is_sent_whole_again() {
    // The first try is answered before its body has ended; the second one reads all of it.
    let notes = Notes::default();
    let seen = notes.clone();
    let origin = up(move |request: Request<hyper::body::Incoming>| {
        let seen = seen.clone();
        async move {
            let mut body = request.into_body();
            if seen.all().is_empty() {
                let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
                seen.add(String::from_utf8_lossy(&first));
                return Response::builder().status(503).body(String::new()).unwrap();
            }
            let all = body.collect().await.unwrap();
            let sum = all.trailers().unwrap()["x-sum"].to_str().unwrap().to_owned();
            seen.add(format!("{} {sum}", String::from_utf8_lossy(&all.to_bytes())));
            Response::new(String::new())
        }
    })
    .await;
    let front = proxied(
        ReverseProxy::with_endpoint(origin.url(), Again(Backend::http2())).unwrap().backend_host().before(|_, head| {
            head.extensions.insert(Operation::new("test", "put").with_idempotent(true));
        }),
    )
    .await;
    let (sender, body) = sent();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<crate::proxy_support::Sent>();
    let call = client.request(Request::put(front.url()).body(body).unwrap());
    let sending = async {
        sender.send(data("one ")).await.unwrap();
        notes.until(1).await;
        sender.send(data("two")).await.unwrap();
        sender.send(trailers("x-sum", "2")).await.unwrap();
        drop(sender);
    };
    let (answer, ()) = tokio::join!(call, sending);
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(notes.all(), ["one ", "one two 2"]);
}

/// Tower's way to say the same.
#[derive(Clone)]
struct Once(bool);

impl<B, B2, E> tower::retry::Policy<Request<Replay<B>>, Response<B2>, E> for Once {
    type Future = Ready<()>;

    fn retry(&mut self, request: &mut Request<Replay<B>>, result: &mut Result<Response<B2>, E>) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|answer| answer.status() == 503);
        (failed && std::mem::take(&mut self.0) && request.body().is_replayable()).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Replay<B>>) -> Option<Request<Replay<B>>> {
        let mut clone = Request::new(request.body().try_clone()?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.headers_mut() = request.headers().clone();
        Some(clone)
    }
}

/// A client on `http` types, whatever it is, under tower's retry.
async fn retried<S, B2>(client: S, origin: &Up, body: &'static [u8]) -> Response<B2>
where
    S: Service<Request<Replay<Full<Bytes>>>, Response = Response<B2>, Error: std::fmt::Debug> + Clone,
{
    let retry = tower::retry::RetryLayer::new(Once(true)).layer(client);
    let body = Replay::with_cap(Full::new(Bytes::from_static(body)), 1000);
    retry.oneshot(Request::put(origin.url()).body(body).unwrap()).await.unwrap()
}

#[tokio::test]
async fn towers_retry_sends_it_again_by_hyper_and_by_reqwest() {
    let by_hyper = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let by_reqwest = FromHttpService::<_, reqwest::Request, reqwest::Body>::new(reqwest::Client::new());
    let by_reqwest = kit_base::IntoService::new(by_reqwest);
    let script = || [Reply::status(503), Reply::ok()];
    let long = &[b'x'; 1001];

    let origin = Up::start(script()).await.unwrap();
    assert_eq!(retried(by_hyper.clone(), &origin, b"hello").await.status(), 200);
    assert!(origin.requests().iter().all(|request| request.body() == "hello"));
    let origin = Up::start(script()).await.unwrap();
    assert_eq!(retried(by_hyper, &origin, long).await.status(), 503);

    let origin = Up::start(script()).await.unwrap();
    assert_eq!(retried(by_reqwest.clone(), &origin, b"hello").await.status(), 200);
    assert!(origin.requests().iter().all(|request| request.body() == "hello"));
    let origin = Up::start(script()).await.unwrap();
    assert_eq!(retried(by_reqwest, &origin, long).await.status(), 503);
}
