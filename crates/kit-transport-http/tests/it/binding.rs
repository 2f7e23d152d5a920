//! A whole service over HTTP, by a pair of endpoints written by hand.

use http::{HeaderName, StatusCode};
use kit_base::{Bind, Connect, Endpoint, Error, Kind, Operation, OperationInfo, Request, Response, Unary};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpClient, HttpServer};
use serde::{Deserialize, Serialize};

use crate::support::{By, Sum, Value, add, ask, op, post, up};

static SUM: OperationInfo = OperationInfo::new("addsvc", "sum").idempotent(true);
static CONCAT: OperationInfo = OperationInfo::new("addsvc", "concat").named(&[("http", "GET /concat/{a}")]);

#[derive(Debug, Serialize, Deserialize)]
struct Concat {
    a: String,
    b: String,
}

/// What a service is made of, whatever carries it.
struct AddEndpoints<S, C> {
    sum: S,
    concat: C,
}

impl<S, C> AddEndpoints<S, C>
where
    S: Endpoint<Request<Sum>, Response = Response<Value>, Error: Into<Error>> + 'static,
    C: Endpoint<Request<Concat>, Response = Response<String>, Error: Into<Error>> + 'static,
{
    fn bind<T: Bind<Unary, Sum, Value> + Bind<Unary, Concat, String>>(self, mut transport: T) -> T {
        transport.bind(Operation::from_static(&SUM), self.sum);
        transport.bind(Operation::from_static(&CONCAT), self.concat);
        transport
    }
}

type Over<T> =
    AddEndpoints<<T as Connect<Unary, Sum, Value>>::Endpoint, <T as Connect<Unary, Concat, String>>::Endpoint>;

fn connect<T: Connect<Unary, Sum, Value> + Connect<Unary, Concat, String>>(transport: &T) -> Over<T> {
    AddEndpoints {
        sum: Connect::<Unary, Sum, Value>::connect(transport, Operation::from_static(&SUM)),
        concat: Connect::<Unary, Concat, String>::connect(transport, Operation::from_static(&CONCAT)),
    }
}

#[tokio::test]
async fn a_service_is_bound_to_and_made_from_http_without_knowing_it() {
    let concat = By(async |request: Request<Concat>| {
        let Concat { a, b } = request.into_message();
        if a == b { Err(Error::already_exists("twice the same")) } else { Ok(Response::new(a + &b)) }
    });
    let server = AddEndpoints { sum: By(add), concat }.bind(HttpServer::new().prefix("/v1"));
    let served = up(server).await;
    let client = HttpClient::new(served.url() + "/v1").unwrap();
    let remote = connect(&client);
    let answer = remote.sum.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    assert_eq!(answer.into_message(), Value { v: 3 });
    let concat = |a: &str, b: &str| Request::new(Concat { a: a.to_owned(), b: b.to_owned() });
    assert_eq!(remote.concat.call(concat("a/ö", "b")).await.unwrap().into_message(), "a/öb");
    let error = remote.concat.call(concat("a", "a")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::AlreadyExists, "twice the same"));
}

#[tokio::test]
async fn a_gateway_answers_by_its_own_encoder_and_not_with_status_and_headers_of_its_backend() {
    let reply = Reply::status(201)
        .header("content-type", "application/vnd.backend+json")
        .header("set-cookie", "session=secret")
        .header("date", "Wed, 21 Oct 2015 07:28:00 GMT")
        .header("x-backend", "7")
        .body(r#"{"v":3}"#);
    let backend = Backend::start(reply).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().endpoint::<Sum, Value>(op("sum"));
    // A local user sees them all.
    let direct = client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    let parts = direct.parts().unwrap();
    assert_eq!(
        (parts.headers["x-backend"].as_bytes(), parts.extensions.get()),
        (&b"7"[..], Some(&StatusCode::CREATED))
    );

    // What a handler wants to pass on it sets on a response of its own.
    let chosen = client.clone();
    let choosing = By(move |request: Request<Sum>| {
        let chosen = chosen.clone();
        async move {
            let answer = chosen.call(request).await?;
            let value = answer.parts().unwrap().headers["x-backend"].clone();
            let own = Response::new(answer.into_message()).with_status(StatusCode::ACCEPTED);
            Ok::<_, Error>(own.with_header(HeaderName::from_static("x-backend"), value))
        }
    });
    let routes = HttpServer::new().endpoint(op("sum"), client).endpoint(op("choose"), choosing).routes().unwrap();
    let three = |path| post(path, r#"{"a":1,"b":2}"#);

    let answer = ask(&routes, three("/sum")).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"v":3}"#[..]));
    let headers: Vec<_> = answer.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(headers, [("content-type", &b"application/json"[..])]);

    let answer = ask(&routes, three("/choose")).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["x-backend"].as_bytes()), (202, &b"7"[..]));
    assert_eq!(answer.headers()["content-type"], "application/json");
}
