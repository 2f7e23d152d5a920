//! Codecs beside JSON: raw bytes, closures, pairs; and decoders tested alone.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use kit_base::{Context, Endpoint, Error, Kind, Request, Response};
use kit_transport_http::{
    DecodeRequest, DecodeResponse, EncodeRequest, HttpClient, HttpServer, Json, Outgoing, Params, Raw, Received, Reply,
    RequestInfo, Route,
};

use crate::support::{By, Sum, Value, answer, ask, malformed, op, post, problem, serve, up};

async fn upper(request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
    Ok(Response::new(request.into_message().to_ascii_uppercase().into()))
}

#[tokio::test]
async fn raw_bytes_go_through_as_they_are() {
    let served = up(HttpServer::with_codec(Raw).endpoint(op("upper"), By(upper))).await;
    let client = served.client().codec(Raw).endpoint::<Bytes, Bytes>(op("upper"));
    let answer = client.call(Request::new(Bytes::from_static(b"a\xff\0b"))).await.unwrap();
    assert_eq!(answer.parts().unwrap().headers["content-type"], "application/octet-stream");
    assert_eq!(answer.message(), &b"A\xff\0B"[..]);
    assert_eq!(client.call(Request::new(Bytes::new())).await.unwrap().message(), &b""[..]);
}

#[tokio::test]
async fn a_raw_response_says_what_it_is() {
    let page = By(async |_: Request<Bytes>| {
        let html = HeaderValue::from_static("text/html");
        Ok::<_, Error>(Response::new(Bytes::from_static(b"<p>")).with_header(CONTENT_TYPE, html))
    });
    let server = HttpServer::with_codec(Raw).endpoint(op("page"), page).route("page", "GET /");
    let answer = answer(server, crate::support::get("/")).await;
    assert_eq!(answer.headers()["content-type"], "text/html");
}

#[tokio::test]
async fn closures_decode_and_encode_on_both_sides() {
    let decode = |request: &Received<'_>| -> Result<Sum, Error> {
        let text = std::str::from_utf8(request.body).map_err(|_| Error::invalid_argument("not UTF-8"))?;
        let (a, b) = text.split_once('+').ok_or_else(|| Error::invalid_argument("want a+b"))?;
        let number = |text: &str| text.parse().map_err(|_| Error::invalid_argument(format!("{text:?} is no number")));
        Ok(Sum { a: number(a)?, b: number(b)? })
    };
    let encode = |_: &Received<'_>, outcome: Result<Response<Value>, Error>| {
        Ok(http::Response::new(Bytes::from(outcome?.message().v.to_string())))
    };
    let server = HttpServer::new().handle(op("sum"), By(crate::support::add), decode, encode);
    let served = up(server).await;
    let client = served.client().endpoint_by(
        op("sum"),
        |route: &Route, verb: &Method, message: &Sum| {
            assert_eq!((route.path(), verb), ("/sum", &Method::POST));
            let text = HeaderValue::from_static("text/plain");
            Ok(Outgoing::to(route.path()).with_body(text, format!("{}+{}", message.a, message.b)))
        },
        |reply: &Reply| {
            let text = std::str::from_utf8(&reply.body).unwrap();
            text.parse().map(|v| Value { v }).map_err(|_| Error::internal(format!("{text:?} is no number")))
        },
    );
    assert_eq!(client.call(Request::new(Sum { a: 3, b: 4 })).await.unwrap().into_message(), Value { v: 7 });

    let raw = served.client().codec(Raw).endpoint::<Bytes, Bytes>(op("sum"));
    let error = raw.call(Request::new(Bytes::from_static(b"1+x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::InvalidArgument, r#""x" is no number"#));
}

#[tokio::test]
async fn a_pair_of_codecs_is_one_the_first_for_requests() {
    let show = By(async |request: Request<Sum>| {
        Ok::<_, Error>(Response::new(Bytes::from(format!("{:?}", request.message()))))
    });
    let served = up(HttpServer::with_codec((Json::new(), Raw)).endpoint(op("show"), show)).await;
    let client = served.client().codec((Json::new(), Raw)).endpoint::<Sum, Bytes>(op("show"));
    let answer = client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    assert_eq!(answer.message(), &b"Sum { a: 1, b: 2 }"[..]);
}

#[tokio::test]
async fn codecs_can_be_tested_without_a_server() {
    let info = RequestInfo::new(Method::POST, Uri::from_static("/sum"));
    let (context, params) = (Context::new(), Params::new());
    let decode = |body: &'static str| -> Result<Sum, Error> {
        Json::new().decode_request(&Received::new(&info, &context, &params, &Bytes::from_static(body.as_bytes())))
    };
    assert_eq!(decode(r#"{"a":1,"b":2}"#).unwrap(), Sum { a: 1, b: 2 });
    assert_eq!(decode("").unwrap_err().message(), "malformed request: the body is empty");

    let reply = Reply::new(StatusCode::OK, HeaderMap::new(), Bytes::from_static(b"<html>"));
    let error = DecodeResponse::<Value>::decode_response(&Json::new(), &reply).unwrap_err();
    assert_eq!(error.message(), "the answer cannot be decoded (200 OK, no content type)");

    let route: Route = "POST /u/{id}".parse().unwrap();
    let error = Raw.encode_request(&route, &Method::POST, &Bytes::new()).unwrap_err();
    assert_eq!(error.message(), "POST /u/{id} has parameters, which only JSON fills");
}

#[tokio::test]
async fn json_requests_are_what_go_kits_tests_expect_without_the_newline() {
    // HTTP-C4.
    async fn sent<T: serde::Serialize>(message: T) -> Bytes {
        let route: Route = "POST /m".parse().unwrap();
        Json::new().encode_request(&route, &Method::POST, &message).unwrap().body
    }
    assert_eq!(sent(()).await, "null");
    assert_eq!(sent(12).await, "12");
    assert_eq!(sent(1.2).await, "1.2");
    assert_eq!(sent(true).await, "true");
    assert_eq!(sent("test").await, r#""test""#);
    assert_eq!(sent(Value { v: 1 }).await, r#"{"v":1}"#);
}

#[tokio::test]
async fn a_message_of_one_field_may_be_that_field() {
    let double = By(async |request: Request<i64>| Ok::<_, Error>(Response::new(request.into_message() * 2)));
    let routes = HttpServer::new().endpoint(op("double"), double).routes().unwrap();
    assert_eq!(ask(&routes, post("/double", "21")).await.body(), "42");
    malformed(&ask(&routes, post("/double", "21 42")).await, "trailing characters");

    let served = serve(kit_base::IntoService::new(routes)).await;
    let client: HttpClient = served.client();
    let double = client.endpoint::<i64, i64>(op("double"));
    assert_eq!(double.call(Request::new(4)).await.unwrap().into_message(), 8);
    // In a query it has no name.
    let double = client.route("double", "GET /double").endpoint::<i64, i64>(op("double"));
    let error = double.call(Request::new(4)).await.unwrap_err();
    assert_eq!(error.message(), "a message for GET /double must be an object, got 4");
}

#[tokio::test]
async fn a_coded_body_is_415_whatever_the_codec() {
    let raw = By(async |request: Request<Bytes>| Ok::<_, Error>(Response::new(request.into_message())));
    let server = crate::support::sum().handle(op("raw"), raw, Raw, Raw);
    let routes = server.routes().unwrap();
    let coded = |path: &str, codings: &[&[u8]]| {
        let mut request = post(path, r#"{"a":1,"b":2}"#);
        for coding in codings {
            request.headers_mut().append("content-encoding", http::HeaderValue::from_bytes(coding).unwrap());
        }
        request
    };
    let refused: [&[&[u8]]; 5] = [&[b"gzip"], &[b"identity, br"], &[b"identity", b"deflate"], &[b"x-own"], &[b"\xff"]];
    for path in ["/sum", "/raw"] {
        for codings in refused {
            let answer = ask(&routes, coded(path, codings)).await;
            let details = problem(&answer, 415);
            assert_eq!(
                (&details["kind"], &details["reason"]),
                (&"INVALID_ARGUMENT".into(), &"UNSUPPORTED_CODING".into())
            );
            assert_eq!(answer.headers()["accept-encoding"], "identity");
        }
        let plain: [&[&[u8]]; 4] = [&[], &[b"identity"], &[b"Identity, identity"], &[b""]];
        for codings in plain {
            assert_eq!(ask(&routes, coded(path, codings)).await.status(), 200, "{codings:?}");
        }
    }
    let details = problem(&ask(&routes, coded("/sum", &[b"gzip"])).await, 415);
    assert_eq!(details["detail"], r#"content encoding "gzip" is not supported, want identity"#);
}
