//! What `#[service]` makes of a trait.

use std::sync::Arc;

use kit_endpoint::{Context, Endpoint, Error, Failure, Kind, Request, Response};

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
async fn the_endpoints_are_the_service_again_locally_boxed_and_remote() {
    async fn check(add: impl Add) {
        let cx = Context::new();
        assert_eq!(add.sum(&cx, SumRequest { a: 1, b: 2 }).await.unwrap(), SumReply { v: 3 });
        let answer = add.concat(&cx, texts("a", "b")).await.unwrap();
        assert_eq!(answer.message(), &ConcatReply { v: "ab".into() });
        assert_eq!(answer.parts().unwrap().headers["x-method"], "concat");
        assert!(matches!(add.sum(&cx, SumRequest { a: 0, b: 0 }).await, Err(AddError::TwoZeroes)));
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
