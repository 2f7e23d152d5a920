//! A limit counts calls, not messages; and a stream that lasts or is dropped late changes nothing.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use kit_base::{Clock, Context, Endpoint, Error, Origin, Request, Response, ServerStream, Streaming, Tower};
use kit_ratelimit::{Keyed, Layer};
use tokio_stream::StreamExt;
use tonic_health::pb::health_client::HealthClient;

use super::health::{Backend, behind, word};
use super::{Limit, five, serve, until};
use crate::support::quota;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_stream_from_a_tonic_server_costs_one_token_and_so_does_one_over_a_channel() {
    let limit = Limit::of(five());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    let mut stream = client.watch(word("ok")).await.unwrap().into_inner();
    let mut messages = 0;
    while stream.message().await.unwrap().is_some() {
        messages += 1;
    }
    assert_eq!((messages, limit.left()), (3, 4));

    let (limit, backend) = (Limit::of(five()), Backend::start());
    let mut client = HealthClient::new(Tower::new(limit.guard.clone()).answered().layer(backend.channel()));
    let mut stream = client.watch(word("14")).await.unwrap().into_inner();
    while stream.message().await.is_ok_and(|message| message.is_some()) {}
    assert_eq!(limit.left(), 4, "it broke off, and costs what it costs");
}

#[tokio::test]
async fn streams_that_last_hold_nothing_and_give_nothing_back_when_they_are_dropped() {
    let (limit, backend) = (Limit::of(five()), Backend::start());
    let client = HealthClient::new(Tower::new(limit.guard.clone()).answered().layer(backend.channel()));
    let mut streams = Vec::new();
    for n in (0..5).rev() {
        streams.push(client.clone().watch(word("hang")).await.unwrap());
        assert_eq!(limit.left(), n);
    }
    assert!(client.clone().watch(word("hang")).await.is_err());
    // They are open all the time, and new ones come at the pace of the limit.
    limit.clock.advance(LONG);
    for _ in 0..5 {
        streams.push(client.clone().watch(word("hang")).await.unwrap());
    }
    assert!(client.clone().watch(word("hang")).await.is_err());
    // Dropped at once, at the very moment of the last calls.
    drop(streams);
    assert_eq!(limit.left(), 0);
    assert!(client.clone().check(word("ok")).await.is_err());
    // And later, when the bucket is full.
    let limit = Limit::of(five());
    let client = HealthClient::new(Tower::new(limit.guard.clone()).answered().layer(backend.channel()));
    let stream = client.clone().watch(word("hang")).await.unwrap();
    limit.clock.advance(LONG);
    drop(stream);
    assert_eq!(limit.left(), 5);
    for _ in 0..5 {
        client.clone().check(word("ok")).await.unwrap();
    }
    assert!(client.clone().check(word("ok")).await.is_err());
}

#[tokio::test]
async fn a_body_in_pieces_costs_one_token_read_to_its_end_or_left() {
    let limit = Limit::of(five());
    let pieces = || tokio_stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"piece"))));
    let router = axum::Router::new()
        .route("/all", axum::routing::get(async move || Body::from_stream(pieces())))
        .route("/stall", axum::routing::get(async move || Body::from_stream(pieces().chain(tokio_stream::pending()))));
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    assert_eq!(reqwest::get(format!("http://{addr}/all")).await.unwrap().bytes().await.unwrap().len(), 50);
    assert_eq!(limit.left(), 4);
    let mut answer = reqwest::get(format!("http://{addr}/stall")).await.unwrap();
    answer.chunk().await.unwrap().unwrap();
    drop(answer);
    assert_eq!(reqwest::get(format!("http://{addr}/all")).await.unwrap().bytes().await.unwrap().len(), 50);
    until("three tokens are taken", || limit.left() == 2).await;
}

/// A method that streams two items, and then an error that its own client's policy gave it.
#[derive(Clone, Copy, Debug)]
struct Streams;

impl Endpoint<Request<u32, ServerStream>> for Streams {
    type Response = Response<Streaming<u32>>;
    type Error = Error;

    async fn call(&self, _: Request<u32, ServerStream>) -> Result<Self::Response, Error> {
        let refused = Error::unavailable("my backend's circuit is open").with_origin(Origin::LocalRefusal);
        Ok(Response::new(Streaming::new(tokio_stream::iter([Ok(1), Ok(2), Err(refused)]))))
    }
}

#[tokio::test]
async fn an_endpoint_that_streams_by_one_limit_and_by_key() {
    let limit = Limit::of(five());
    let endpoint = limit.guard.layer(Streams);
    for n in (0..5).rev() {
        let mut stream = endpoint.call(Request::from_parts(Context::new(), 1)).await.unwrap().into_message();
        assert_eq!(stream.message().await.unwrap(), Some(1));
        limit.clock.advance(Duration::from_nanos(1));
        assert_eq!(stream.message().await.unwrap(), Some(2));
        stream.message().await.unwrap_err();
        assert_eq!(limit.left(), n, "its messages have gone out");
    }

    let keyed = Keyed::by(quota(1, 1), |request: &Request<u32, ServerStream>| Some(*request.message()));
    let limit = Limit::of(keyed);
    let endpoint = limit.guard.layer(Streams);
    let stream = endpoint.call(Request::from_parts(Context::new(), 1)).await.unwrap();
    assert!(endpoint.call(Request::from_parts(Context::new(), 1)).await.is_err());
    assert!(endpoint.call(Request::from_parts(Context::new(), 2)).await.is_ok());
    drop(stream);
    assert_eq!(limit.guard.gate().standing_at(&1, limit.clock.now()).remaining, 0);
}

/// With headers on answers, the body goes on as it was.
#[tokio::test]
async fn a_body_that_streams_is_not_touched_by_headers() {
    let limit = Limit::of(five().with_headers());
    let router = axum::Router::new().fallback(async || {
        Body::from_stream(tokio_stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"piece")))))
    });
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    let answer = http::Response::from(reqwest::get(format!("http://{addr}/")).await.unwrap());
    assert_eq!(answer.headers()["ratelimit"], r#""default";r=4;t=1"#);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "piecepiecepiece");
}
