//! A deadline over three hops: HTTP, gRPC, gRPC. Durations alone are compared, never the clocks of two processes.

use std::time::{Duration, Instant};

use addsvc::{Add, AddError, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_client};
use kit_base::Context;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{addcli, serve, serve_grpc, told};

/// What a hop told.
enum Told {
    /// The time that was left when the method was called.
    Left(Duration),
    /// The method ended: it saw its call fail, or was dropped.
    Ended(Instant),
}

type Tell = UnboundedSender<(usize, Told)>;

/// A service that calls the next one with the context that it is called with; the last one never answers.
struct Hop<A> {
    number: usize,
    next: Option<A>,
    tell: Tell,
}

/// The method, while it runs.
struct Running<'a>(usize, &'a Tell);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.1.send((self.0, Told::Ended(Instant::now())));
    }
}

impl<A: Add> Add for Hop<A> {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        let _running = Running(self.number, &self.tell);
        let left = cx.deadline().expect("a deadline").left(Instant::now());
        self.tell.send((self.number, Told::Left(left))).unwrap();
        match &self.next {
            Some(next) => next.sum(cx, req).await,
            None => std::future::pending().await,
        }
    }

    async fn concat(&self, _: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        Ok(ConcatReply { v: req.a })
    }
}

/// The three services, the first of which addcli calls.
async fn hops() -> (crate::At, UnboundedReceiver<(usize, Told)>) {
    let (tell, told) = unbounded_channel();
    let third = Hop { number: 2, next: None::<addsvc::Adder>, tell: tell.clone() };
    let third = grpc_client(&serve_grpc(third).await.url()).unwrap();
    let second = Hop { number: 1, next: Some(third), tell: tell.clone() };
    let second = grpc_client(&serve_grpc(second).await.url()).unwrap();
    let first = serve(Hop { number: 0, next: Some(second), tell }).await;
    (first, told)
}

#[tokio::test]
async fn over_three_hops_each_has_less_time_left_and_all_end_at_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let mut slow = Vec::new();
    // A machine that is busy with other tests may hold a process up; it does not do so five times.
    for _ in 0..5 {
        let (first, mut seen) = hops().await;
        let started = Instant::now();
        let output = addcli(first, ["--timeout", "300ms", "1", "2"]).await;
        let took = started.elapsed();
        let (code, _, stderr) = told(&output);
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with("error: DEADLINE_EXCEEDED: "), "{stderr}");
        assert!(took >= DEADLINE, "addcli gave up after {took:?}");

        let (mut lefts, mut ends) = ([None; 3], [None; 3]);
        while lefts.contains(&None) || ends.contains(&None) {
            let seen = tokio::time::timeout(Duration::from_secs(10), seen.recv()).await;
            match seen.expect("a hop that does not end").unwrap() {
                (hop, Told::Left(left)) => lefts[hop] = Some(left),
                (hop, Told::Ended(at)) => ends[hop] = Some(at - started),
            }
        }
        let [first, second, third] = lefts.map(Option::unwrap);
        assert!(DEADLINE > first && first > second && second > third, "{lefts:?}");
        assert!(!third.is_zero(), "{lefts:?}");
        let ends = ends.map(Option::unwrap);
        if took <= Duration::from_millis(350) && ends.iter().all(|end| *end <= Duration::from_millis(350)) {
            return;
        }
        slow.push((took, ends));
    }
    panic!("addcli and the hops ended after {slow:?}");
}
