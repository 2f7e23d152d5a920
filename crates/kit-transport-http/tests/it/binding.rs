//! A whole service over HTTP, by a pair of endpoints written by hand.

use kit_base::{Bind, Connect, Endpoint, Error, Kind, Operation, OperationInfo, Request, Response, Unary};
use kit_transport_http::{HttpClient, HttpServer};
use serde::{Deserialize, Serialize};

use crate::support::{By, Sum, Value, add, up};

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
