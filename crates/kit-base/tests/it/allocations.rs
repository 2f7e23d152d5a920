//! What a layer allocates: nothing on the endpoint face, one box for the whole stack on the tower face.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::Full;
use kit_base::{Context, Deadline, End, Endpoint, Error, Gate, Guard, Now, Operation, PassOn, Request, Tower};
use stats_alloc::Region;
use tower::Service;
use tower_layer::Layer;

use crate::ALLOCATOR;
use crate::support::{Func, now};

/// A gate that does what most do: it refuses at times, and measures.
struct Plain;

impl<Req, Res, Err> Gate<Req, Res, Err> for Plain {
    type Permit = std::time::Instant;

    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<std::time::Instant, Error> {
        black_box(request);
        Ok(now.get())
    }

    fn finish(&self, since: std::time::Instant, end: &End<'_>) {
        black_box(end.now.get() - since);
    }
}

/// The same, and it never refuses.
struct Watching;

impl<Req, Res, Err> Gate<Req, Res, Err> for Watching {
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

fn count(what: &str, want: usize, code: impl FnOnce()) {
    let region = Region::new(ALLOCATOR);
    code();
    let counted = region.change().allocations;
    assert_eq!(counted, want, "{what}");
}

fn count_all() {
    let layer = || Guard::new(Plain);
    let five = || (layer(), layer(), layer(), layer(), (layer(),));
    let ten = || (five(), five());
    let endpoint = || Func(|req: Request<[u8; 160]>| ready(Ok::<_, Error>(req.into_message()[0])));
    let guarded = ten().layer(endpoint());
    count("ten layers on the endpoint face", 0, || drop(black_box(now(guarded.call(Request::new([1; 160]))))));
    let tuple = Guard::new((Plain, Plain, Plain, Plain, Plain)).layer(endpoint());
    count("a tuple of five on the endpoint face", 0, || drop(black_box(now(tuple.call(Request::new([1; 160]))))));

    let service = || tower::service_fn(|req: Request<[u8; 160]>| ready(Ok::<_, Error>(req.into_message()[0])));
    let mut one = Tower::new(layer()).layer(service());
    count("one layer on the tower face", 1, || drop(black_box(now(one.call(Request::new([1; 160]))))));
    let mut many = Tower::new(ten()).layer(service());
    count("ten layers on the tower face", 1, || drop(black_box(now(many.call(Request::new([1; 160]))))));
    let mut watching = Tower::new((Guard::new(Watching), Guard::new(Watching))).layer(service());
    count("a stack that passes readiness", 1, || {
        now(poll_fn(|cx| Service::<Request<[u8; 160]>>::poll_ready(&mut watching, cx))).unwrap();
        drop(black_box(now(watching.call(Request::new([1; 160])))));
    });

    let http = tower::service_fn(|_: http::Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello")))))
    });
    let mut answered = Tower::new(ten()).answered().layer(http);
    let request = http::Request::new(());
    count("ten layers over HTTP, the body read and its permits finished", 1, || {
        let answer = now(answered.call(request)).unwrap();
        let mut body = pin!(answer.into_body());
        while let Some(frame) = now(poll_fn(|cx| body.as_mut().poll_frame(cx))) {
            drop(black_box(frame));
        }
    });

    static SUM: kit_base::OperationInfo = kit_base::OperationInfo::new("addsvc", "sum");
    count("a context with an operation and a deadline, its clone and its child", 0, || {
        let context = Context::new()
            .with_operation(Operation::from_static(&SUM))
            .with_deadline(Deadline::at(std::time::Instant::now()));
        black_box((context.clone().child(&PassOn::default()), context));
    });
}

/// Other tests allocate at the same time, so the counting is done in a process of its own.
#[test]
fn a_stack_allocates_nothing_on_the_endpoint_face_and_one_box_on_the_tower_face() {
    const ALONE: &str = "KIT_BASE_COUNTS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return count_all();
    }
    let name = "allocations::a_stack_allocates_nothing_on_the_endpoint_face_and_one_box_on_the_tower_face";
    let counted = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&counted.stdout).into_owned() + &String::from_utf8_lossy(&counted.stderr);
    assert!(counted.status.success() && output.contains("1 passed"), "{output}");
}
