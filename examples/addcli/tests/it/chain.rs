//! A call through two services: what goes along with it, and what does not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use addsvc::{Add, AddError, ConcatReply, ConcatRequest, SumReply, SumRequest, http_client};
use kit_base::{Context, Kind};
use kit_testing::http::curl;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{addcli, serve, told};

/// What ended a call, as the service saw it.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Dropped,
    Failed(Kind),
}

/// Calls the next service with the context that it is called with.
struct Front<A> {
    next: A,
    ended: UnboundedSender<(Ended, Instant)>,
}

impl<A: Add> Add for Front<A> {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        let mut dropped = OnDrop(Some(self.ended.clone()));
        let reply = self.next.sum(cx, req).await;
        if let (Err(AddError::Other(error)), Some(ended)) = (&reply, dropped.0.take()) {
            ended.send((Ended::Failed(error.kind()), Instant::now())).unwrap();
        }
        reply
    }

    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        self.next.concat(cx, req).await
    }
}

/// Never sums, and notes the metadata of a concat.
struct Last {
    ended: UnboundedSender<(Ended, Instant)>,
    metadata: Arc<Mutex<Vec<String>>>,
}

impl Add for Last {
    async fn sum(&self, _: &Context, _: SumRequest) -> Result<SumReply, AddError> {
        let _dropped = OnDrop(Some(self.ended.clone()));
        std::future::pending().await
    }

    async fn concat(&self, cx: &Context, _: ConcatRequest) -> Result<ConcatReply, AddError> {
        self.metadata.lock().unwrap().extend(cx.inbound().keys().map(ToString::to_string));
        Ok(ConcatReply { v: String::new() })
    }
}

struct OnDrop(Option<UnboundedSender<(Ended, Instant)>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            let _ = ended.send((Ended::Dropped, Instant::now()));
        }
    }
}

/// When addcli, the last service and the front had ended their part of a call with 300 ms to go.
async fn ends_of_a_call_of_300_ms() -> [Duration; 3] {
    let (last_ended, mut last_saw) = unbounded_channel();
    let (front_ended, mut front_saw) = unbounded_channel();
    let last = serve(Last { ended: last_ended, metadata: Arc::default() }).await;
    let next = http_client(&last.url()).unwrap();
    let front = serve(Front { next, ended: front_ended }).await;

    let started = Instant::now();
    let output = addcli(front, ["--timeout", "300ms", "1", "2"]).await;
    let took = started.elapsed();
    let (code, _, stderr) = told(&output);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error: DEADLINE_EXCEEDED: "), "{stderr}");

    let (ended, last) = last_saw.recv().await.unwrap();
    assert_eq!(ended, Ended::Dropped);
    // Whichever comes first at the front: its own deadline drops the method, or the method sees its call end.
    let (ended, front) = front_saw.recv().await.unwrap();
    assert!(matches!(ended, Ended::Dropped | Ended::Failed(Kind::DeadlineExceeded)), "{ended:?}");
    [took, last - started, front - started]
}

#[tokio::test]
async fn a_deadline_of_300_ms_ends_the_call_everywhere_within_350_ms() {
    // A machine that is busy with other tests may hold a process up; it does not do so five times.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let ends = ends_of_a_call_of_300_ms().await;
        assert!(ends[0] >= Duration::from_millis(300), "addcli gave up after {:?}", ends[0]);
        if ends.iter().all(|end| *end <= Duration::from_millis(350)) {
            return;
        }
        seen.push(ends);
    }
    panic!("addcli, the last service and the front ended after {seen:?}");
}

#[tokio::test]
async fn credentials_do_not_go_on_to_the_next_service() {
    let (ended, _saw) = unbounded_channel();
    let metadata = Arc::new(Mutex::new(Vec::new()));
    let last = serve(Last { ended: ended.clone(), metadata: metadata.clone() }).await;
    let next = http_client(&last.url()).unwrap();
    let front = serve(Front { next, ended }).await;

    let url = format!("{}/concat", front.url());
    let headers = [
        "authorization: Bearer secret",
        "cookie: session=secret",
        "x-api-key: secret",
        "x-other: 1",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "baggage: tenant=7",
        "grpc-timeout: 5S",
        "content-type: application/json",
    ];
    let args = headers.iter().flat_map(|header| ["-H", header]).chain(["-d", "{}", &url]);
    assert_eq!(curl(args).await.unwrap().status(), 200);
    let metadata = metadata.lock().unwrap();
    for passed in ["traceparent", "baggage", "grpc-timeout"] {
        assert!(metadata.iter().any(|name| name == passed), "{passed} is missing in {metadata:?}");
    }
    for kept in ["authorization", "cookie", "x-api-key", "x-other"] {
        assert!(!metadata.iter().any(|name| name == kept), "{kept} has leaked");
    }
}
