//! Bytes at random, as bodies and fields, to both sides: never a panic, always an end.

use http::{HeaderMap, HeaderName, HeaderValue};
use kit_base::{Endpoint, Error, Request, Response, ServiceError};
use kit_transport_grpc::GrpcClient;
use prost::Message;
use tonic::body::Body;

use super::parts::Parts;
use super::peer::{announced, frame, request};
use crate::support::{Note, echo, echoing, note};

const ROUNDS: u64 = 3_000;

/// Frames and their like: what is right, spoiled a little, and what is nothing.
fn body(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..random.usize(..4) {
        let text: String = (0..random.usize(..40)).map(|_| random.char(..)).collect();
        let message = note(text).encode_to_vec();
        let noise: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
        body.extend(match random.u8(..6) {
            0 => frame(0, &message),
            1 => frame(random.u8(..3), &noise),
            2 => announced(random.u8(..2), random.u32(..80), &message),
            3 => announced(0, random.u32(..), &noise),
            4 => frame(1, &[&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &noise].concat()),
            _ => noise,
        });
    }
    if random.u8(..4) == 0 && !body.is_empty() {
        let at = random.usize(..body.len());
        body[at] ^= 1 << random.u8(..8);
    }
    body
}

fn fields(random: &mut fastrand::Rng, headers: &mut HeaderMap) {
    const NAMES: [&str; 10] = [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "grpc-retry-pushback-ms",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "content-type",
        "x-bytes-bin",
        "traceparent",
    ];
    const VALUES: [&str; 12] =
        ["0", "5", "17", "-1", "1S", "0n", "gzip", "identity", "application/grpc", "CAUSA3doeQ", "%C3%28%", "100"];
    for _ in 0..random.usize(..5) {
        let value = match random.bool() {
            true => VALUES[random.usize(..VALUES.len())].as_bytes().to_vec(),
            false => (0..random.usize(..40)).map(|_| random.u8(..)).collect(),
        };
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(HeaderName::from_static(NAMES[random.usize(..NAMES.len())]), value);
        }
    }
}

fn parts(random: &mut fastrand::Rng) -> Parts {
    let mut parts = Parts::of(body(random), random.usize(1..30));
    if random.bool() {
        let mut trailers = HeaderMap::new();
        if random.bool() {
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        fields(random, &mut trailers);
        parts.trailers = Some(trailers);
    }
    parts
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_whatever_comes() {
    let server = echoing(async |request: Request<Note>| {
        let mut response = Response::new(request.message().clone());
        response.parts_mut().trailers = request.context().inbound().clone();
        Ok(response)
    });
    let routes = server.routes().expect("routes");
    let mut well = 0;
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut request = request().map(|()| parts(&mut random));
        fields(&mut random, request.headers_mut());
        let answer = routes.call(request).await.expect("an answer");
        let head = answer.headers().get("grpc-status").cloned();
        let (_, trailers) = collect(answer.into_body()).await;
        let status = head.or_else(|| trailers.get("grpc-status").cloned()).expect("a status");
        let code: u8 = status.to_str().expect("digits").parse().expect("a code");
        assert!(matches!(code, 0 | 3 | 4 | 8 | 12 | 13), "seed {seed}: {code}");
        well += u64::from(code == 0);
    }
    // The noise is not so loud that nothing comes through.
    assert!((ROUNDS / 50..ROUNDS).contains(&well), "{well}");
}

async fn collect(body: kit_transport_grpc::Body) -> (Vec<u8>, HeaderMap) {
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await {
        match frame.expect("no error").into_data() {
            Ok(part) => data.extend_from_slice(&part),
            Err(frame) => trailers = frame.into_trailers().expect("trailers"),
        }
    }
    (data, trailers)
}

/// A service that answers at random, by the seed in the request.
struct Noise;

impl Endpoint<http::Request<Body>> for Noise {
    type Response = http::Response<Parts>;
    type Error = ServiceError<Error>;

    async fn call(&self, request: http::Request<Body>) -> Result<Self::Response, Self::Error> {
        let seed = request.headers()["x-seed"].to_str().expect("digits").parse().expect("a seed");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut answer = http::Response::new(parts(&mut random));
        if random.u8(..10) == 0 {
            *answer.status_mut() = http::StatusCode::from_u16(random.u16(100..1000)).expect("a status");
        }
        if random.u8(..10) > 0 {
            answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        }
        if random.u8(..3) == 0 {
            fields(&mut random, answer.headers_mut());
        }
        Ok(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_makes_an_error_of_whatever_is_no_answer() {
    let client = GrpcClient::over("http://test", Noise).expect("a client");
    let call = client.endpoint::<Note, Note>(echo());
    let mut well = 0;
    for seed in 0..ROUNDS {
        let context =
            kit_base::Context::new().with_outbound(HeaderName::from_static("x-seed"), HeaderValue::from(seed));
        match call.call(Request::from_parts(context, note(""))).await {
            Ok(_) => well += 1,
            Err(error) => {
                assert!(!error.message().is_empty() && error.message().len() < 4096, "seed {seed}: {error:?}")
            }
        }
    }
    assert!((ROUNDS / 200..ROUNDS).contains(&well), "{well}");
}
