//! Answers that carry an error of their own.

use std::sync::{Arc, Mutex};

use kit_endpoint::base::{Guard, Monotonic, Verdict};
use kit_endpoint::{Endpoint, EndpointExt, Error, Failer, Failing, Kind, Request, Response, endpoint_fn, finish_hook};

#[derive(Debug, PartialEq)]
struct Reply {
    failed: Option<Kind>,
}

impl Failer for Reply {
    fn failed(&self) -> Option<Kind> {
        self.failed
    }
}

#[tokio::test]
async fn an_answer_that_says_it_failed_is_judged_so_and_passed_on_unchanged() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let hook = finish_hook(move |call| log.lock().unwrap().push((call.judgement.verdict, call.judgement.kind)));
    let endpoint = endpoint_fn(async |req: Request<Result<Option<Kind>, Kind>>| match req.into_message() {
        Ok(failed) => Ok(Response::new(Reply { failed })),
        Err(kind) => Err(Error::new(kind, "no answer")),
    })
    .layer(Guard::with(hook, Failing, Monotonic));

    for failed in [None, Some(Kind::NotFound), Some(Kind::Unavailable)] {
        let answer = endpoint.call(Request::new(Ok(failed))).await.unwrap();
        assert_eq!(answer.into_message(), Reply { failed });
    }
    endpoint.call(Request::new(Err(Kind::Internal))).await.unwrap_err();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (Verdict::Success, None),
            (Verdict::Caller, Some(Kind::NotFound)),
            (Verdict::Transient, Some(Kind::Unavailable)),
            (Verdict::Fault, Some(Kind::Internal)),
        ]
    );
}
