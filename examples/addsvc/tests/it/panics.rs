//! A method that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use addsvc::{Add, AddEndpoints, AddError, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_client, grpc_server};
use kit_base::{Context, Event, Kind};
use kit_serve::Server;
use kit_testing::http::curl;
use kit_transport_http::HttpServer;

struct Careless;

impl Add for Careless {
    async fn sum(&self, _: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        assert_ne!(req.a, 7, "secret: seven");
        Ok(SumReply { v: req.a })
    }

    async fn concat(&self, _: &Context, _: ConcatRequest) -> Result<ConcatReply, AddError> {
        Ok(ConcatReply { v: String::new() })
    }
}

#[tokio::test]
async fn a_panic_is_answered_500_and_counted_and_the_process_lives() {
    let panics = Arc::new(AtomicU32::new(0));
    let count = panics.clone();
    let observer = move |event: &Event<'_>| {
        assert_eq!((event.source, event.what, event.key), ("http_server", "panicked", "addsvc/sum"));
        count.fetch_add(1, SeqCst);
    };
    let service = AddEndpoints::new(Careless).bind(HttpServer::new().observer(observer)).build().unwrap();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sum", server.local_addr());
    tokio::spawn(server.serve(service, std::future::pending::<()>()));

    for (a, status, panicked) in [(1, 200, 0), (7, 500, 1), (2, 200, 1), (7, 500, 2)] {
        let (json, body) = ("content-type: application/json", format!(r#"{{"a":{a}}}"#));
        let answer = curl(["-H", json, "-d", &body, &url]).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(panics.load(SeqCst), panicked);
        let text = String::from_utf8_lossy(answer.body());
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(text.contains(r#""detail":"internal error""#), status == 500, "{text}");
    }
}

#[tokio::test]
async fn over_grpc_a_panic_is_internal_and_counted_and_the_process_lives() {
    let panics = Arc::new(AtomicU32::new(0));
    let count = panics.clone();
    let observer = move |event: &Event<'_>| {
        assert_eq!((event.source, event.what, event.key), ("grpc_server", "panicked", "addsvc/sum"));
        count.fetch_add(1, SeqCst);
    };
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let remote = grpc_client(&format!("http://{}", server.local_addr())).unwrap();
    tokio::spawn(
        server.serve(
            AddEndpoints::new(Careless).bind(grpc_server(observer)).build().unwrap(),
            std::future::pending::<()>(),
        ),
    );

    for (a, panicked) in [(1, 0), (7, 1), (2, 1), (7, 2)] {
        let answer = remote.sum(&Context::new(), SumRequest { a, b: 0 }).await;
        assert_eq!(panics.load(SeqCst), panicked);
        match answer {
            Ok(reply) => assert_eq!(reply.v, a),
            Err(AddError::Other(error)) => {
                assert_eq!((a, error.kind(), error.message()), (7, Kind::Internal, "internal error"));
                assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            }
            Err(own) => panic!("{own}"),
        }
    }
}
