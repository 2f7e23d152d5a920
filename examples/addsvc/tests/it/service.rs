//! What the service answers, and how it is replaced by a fake.

use addsvc::{Add, AddEndpoints, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest};
use kit_base::Context;
use serde_json::json;

use crate::start;

#[tokio::test]
async fn sums_and_texts_are_answered_as_by_go_kit() {
    let addsvc = start().await;
    for (path, body, status, answer) in [
        ("/sum", r#"{"a":1,"b":2}"#, 200, json!({"v": 3})),
        ("/sum", r#"{"a":-1,"b":1}"#, 200, json!({"v": 0})),
        ("/sum", r#"{"b":7}"#, 200, json!({"v": 7})),
        ("/sum", r#"{"a":2147483647}"#, 200, json!({"v": 2_147_483_647})),
        ("/sum", r#"{"a":-2147483648}"#, 200, json!({"v": -2_147_483_648i64})),
        ("/concat", r#"{"a":"1","b":"2"}"#, 200, json!({"v": "12"})),
        ("/concat", r#"{"a":"é"}"#, 200, json!({"v": "é"})),
        ("/concat", r#"{}"#, 200, json!({"v": ""})),
        ("/concat", r#"{"a":"12345","b":"67890"}"#, 200, json!({"v": "1234567890"})),
        ("/sum", r#"{"a":0,"b":0}"#, 400, json!({"error": "can't sum two zeroes"})),
        ("/sum", r#"{}"#, 400, json!({"error": "can't sum two zeroes"})),
        ("/sum", r#"{"a":2147483647,"b":1}"#, 400, json!({"error": "integer overflow"})),
        ("/sum", r#"{"a":-2147483648,"b":-1}"#, 400, json!({"error": "integer overflow"})),
        ("/sum", r#"{"a":2147483648}"#, 400, json!({"error": "integer overflow"})),
        ("/sum", r#"{"a":9223372036854775807,"b":-9223372036854775808}"#, 400, json!({"error": "integer overflow"})),
        ("/concat", r#"{"a":"12345","b":"678901"}"#, 400, json!({"error": "result exceeds maximum size"})),
    ] {
        let got = addsvc.post(path, body).await;
        assert_eq!(got, (status, "application/json".to_owned(), answer), "{path} {body}");
    }
}

/// What a program does with the service, wherever that is.
async fn seven(add: &impl Add) -> Result<i64, AddError> {
    Ok(add.sum(&Context::new(), SumRequest { a: 3, b: 4 }).await?.v)
}

struct Fake;

impl Add for Fake {
    async fn sum(&self, _: &Context, _: SumRequest) -> Result<SumReply, AddError> {
        Ok(SumReply { v: 70 })
    }

    async fn concat(&self, _: &Context, _: ConcatRequest) -> Result<ConcatReply, AddError> {
        Err(AddError::MaxSizeExceeded)
    }
}

#[tokio::test]
async fn local_remote_and_fake_are_used_alike() {
    let addsvc = start().await;
    let over_http = addsvc::http_client(&format!("http://{}", addsvc.http)).unwrap();
    assert_eq!(seven(&over_http).await.unwrap(), 7);
    let over_grpc = addsvc::grpc_client(&format!("http://{}", addsvc.grpc)).unwrap();
    assert_eq!(seven(&over_grpc).await.unwrap(), 7);
    assert_eq!(seven(&Adder).await.unwrap(), 7);
    assert_eq!(seven(&AddEndpoints::new(Adder).boxed()).await.unwrap(), 7);
    // The one line.
    assert_eq!(seven(&Fake).await.unwrap(), 70);
}

#[tokio::test]
async fn the_service_s_own_errors_come_back_from_a_remote_one() {
    let addsvc = start().await;
    own_errors_come_back(addsvc::http_client(&format!("http://{}", addsvc.http)).unwrap()).await;
    own_errors_come_back(addsvc::grpc_client(&format!("http://{}", addsvc.grpc)).unwrap()).await;
}

async fn own_errors_come_back(remote: impl Add) {
    let cx = Context::new();
    let two_zeroes = remote.sum(&cx, SumRequest { a: 0, b: 0 }).await.unwrap_err();
    assert!(matches!(two_zeroes, AddError::TwoZeroes), "{two_zeroes:?}");
    let overflow = remote.sum(&cx, SumRequest { a: 1 << 40, b: 0 }).await.unwrap_err();
    assert!(matches!(overflow, AddError::IntegerOverflow), "{overflow:?}");
    let long = ConcatRequest { a: "1234567890".into(), b: "1".into() };
    let max_size = remote.concat(&cx, long).await.unwrap_err();
    assert!(matches!(max_size, AddError::MaxSizeExceeded), "{max_size:?}");
}
