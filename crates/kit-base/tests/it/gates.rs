//! What a gate does to a unary call: admit, refuse, look at the answer, change it, finish.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;

use kit_base::{
    Cause, End, Endpoint, Error, Failure, Gate, Guard, Guarded, Judgement, Kind, Now, Origin, Request, RetryHint,
    Standard, Verdict,
};
use tower_layer::Layer;

use crate::support::{Act, Func, Log, Probe, now, one_turn, panics, poll_once};

#[test]
fn an_admitted_call_reaches_the_endpoint_and_its_answer_comes_back() {
    let log = Log::default();
    let inner = log.clone();
    let guarded = Guard::new(Probe::new("a", &log)).layer(Func(|req: Request<u8>| {
        inner.add("called");
        async move { Ok::<_, Error>(req.into_message() + 1) }
    }));
    assert_eq!(now(guarded.call(Request::new(1))).unwrap(), 2);
    log.expect(["a admits", "called", "a answers success", "a: success, Answered"]);
}

#[test]
fn a_refused_call_never_reaches_the_endpoint() {
    let log = Log::default();
    let guarded = Guard::new(Probe::refusing("a", &log))
        .layer(Func(|_: Request<u8>| -> std::future::Ready<Result<u8, Error>> { panic!("reached") }));
    let error = now(guarded.call(Request::new(1))).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, "full"));
    log.expect(["a refuses"]);
}

#[test]
fn a_refusal_arrives_even_if_the_endpoint_would_hang() {
    let log = Log::default();
    let guarded = Guard::new(Probe::refusing("a", &log))
        .layer(Func(|_: Request<u8>| std::future::pending::<Result<u8, Error>>()));
    assert!(poll_once(pin!(guarded.call(Request::new(1)))).is_ready());
}

#[test]
fn an_error_is_judged_once_and_passes_unchanged() {
    let log = Log::default();
    let judged = AtomicU32::new(0);
    let judge = move |outcome: &Result<u8, Error>| {
        assert_eq!(judged.fetch_add(1, SeqCst), 0, "judged twice");
        outcome.as_ref().map_or_else(Judgement::of, |_| Judgement::SUCCESS)
    };
    let probes = (Probe::new("a", &log), Probe::new("b", &log));
    let guarded = Guard::with(probes, judge, kit_base::Monotonic)
        .layer(Func(|_: Request<u8>| async { Err(Error::internal("broken").with_reason("DISK")) }));
    let error = now(guarded.call(Request::new(1))).unwrap_err();
    assert_eq!((error.kind(), error.message(), error.reason()), (Kind::Internal, "broken", Some("DISK")));
    log.expect([
        "a admits",
        "b admits",
        "b answers fault",
        "a answers fault",
        "b: fault, Answered",
        "a: fault, Answered",
    ]);
}

#[test]
fn a_gate_may_change_the_request_and_the_outcome() {
    struct Change;
    impl Gate<Request<u8>, u8, Error> for Change {
        type Permit = u8;
        fn admit(&self, request: &mut Request<u8>, _: &Now<'_>) -> Result<u8, Error> {
            *request.message_mut() += 1;
            Ok(*request.message())
        }
        fn answer(&self, permit: &mut u8, outcome: &mut Result<u8, Error>, judgement: &Judgement) {
            assert_eq!((*permit, judgement.verdict), (2, Verdict::Success));
            *permit = 50;
            *outcome = Ok(100);
        }
        fn finish(&self, permit: u8, _: &End<'_>) {
            assert_eq!(permit, 50);
        }
    }
    let log = Log::default();
    let guarded = Guard::new((Probe::new("outer", &log), Change))
        .layer(Func(|req: Request<u8>| async move { Ok::<_, Error>(req.into_message() * 10) }));
    assert_eq!(now(guarded.call(Request::new(1))).unwrap(), 100);
}

#[test]
fn a_refusal_is_a_local_one_and_not_sent_stays_not_sent() {
    struct Refuse(Origin);
    impl<Req, Res, Err> Gate<Req, Res, Err> for Refuse {
        type Permit = ();
        fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
            Err(Error::unavailable("no").with_origin(self.0).with_retry_hint(RetryHint::Never))
        }
        fn finish(&self, (): (), _: &End<'_>) {}
    }
    for (given, want) in [
        (Origin::Remote, Origin::LocalRefusal),
        (Origin::LocalRefusal, Origin::LocalRefusal),
        (Origin::NotSent, Origin::NotSent),
    ] {
        let inner = || Func(|_: Request<u8>| async { Ok::<u8, Error>(1) });
        let alone = now(Guard::new(Refuse(given)).layer(inner()).call(Request::new(1))).unwrap_err();
        let in_tuple = now(Guard::new((Refuse(given),)).layer(inner()).call(Request::new(1))).unwrap_err();
        for error in [alone, in_tuple] {
            assert_eq!(error.origin(), want);
            assert_eq!(error.retry_hint(), RetryHint::Never);
        }
    }
}

#[test]
fn a_call_dropped_before_its_first_poll_is_finished_once() {
    let log = Log::default();
    let guarded = Guard::new(Probe::new("a", &log)).layer(Func(|_: Request<u8>| async { Ok::<u8, Error>(1) }));
    let call = guarded.call(Request::new(1));
    log.expect(["a admits"]);
    drop(call);
    log.expect(["a: caller, Left"]);
}

#[test]
fn a_call_dropped_at_any_await_is_finished_once_after_the_work_below_is_torn_down() {
    const AWAITS: usize = 4;
    for polls in 0..=AWAITS + 1 {
        let log = Log::default();
        let inner = log.clone();
        let guarded = Guard::new(Probe::new("a", &log)).layer(Func(move |_: Request<u8>| {
            struct OnDrop(Log);
            impl Drop for OnDrop {
                fn drop(&mut self) {
                    self.0.add("torn down");
                }
            }
            let on_drop = OnDrop(inner.clone());
            async move {
                let _on_drop = on_drop;
                for _ in 0..AWAITS {
                    one_turn().await;
                }
                Ok::<u8, Error>(1)
            }
        }));
        {
            let mut call = Box::pin(guarded.call(Request::new(1)));
            for poll in 0..polls {
                assert_eq!(poll_once(call.as_mut()).is_ready(), poll == AWAITS);
            }
        }
        if polls <= AWAITS {
            log.expect(["a admits", "torn down", "a: caller, Left"]);
        } else {
            log.expect(["a admits", "torn down", "a answers success", "a: success, Answered"]);
        }
    }
}

#[test]
fn a_refused_call_that_is_dropped_leaves_nothing_behind() {
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::refusing("b", &log));
    let guarded = Guard::new(gates).layer(Func(|_: Request<u8>| async { Ok::<u8, Error>(1) }));
    drop(guarded.call(Request::new(1)));
    log.expect(["a admits", "b refuses", "a answers overloaded", "a: overloaded, Answered"]);
}

#[test]
fn a_panic_when_the_future_is_made_is_a_fault_and_finishes_once() {
    let log = Log::default();
    let guarded = Guard::new(Probe::new("a", &log))
        .layer(Func(|_: Request<u8>| -> std::future::Ready<Result<u8, Error>> { panic!("at once") }));
    assert!(panics(|| drop(guarded.call(Request::new(1)))));
    log.expect(["a admits", "a: fault, Panicked"]);
}

#[test]
fn a_panic_of_the_running_call_is_a_fault_and_finishes_once() {
    let log = Log::default();
    let guarded = Guard::new((Probe::new("a", &log), Probe::new("b", &log))).layer(Func(|_: Request<u8>| async {
        one_turn().await;
        if true {
            panic!("later");
        }
        Ok::<u8, Error>(1)
    }));
    // Within an `async` block, as a caller has it, the future is dropped while the panic passes through.
    let mut caller = Box::pin(async { guarded.call(Request::new(1)).await });
    assert!(poll_once(caller.as_mut()).is_pending());
    assert!(panics(|| poll_once(caller.as_mut()).is_ready()));
    log.expect(["a admits", "b admits", "b: fault, Panicked", "a: fault, Panicked"]);
}

/// `catch_unwind` combinators (tower-http's `CatchPanic`, this crate's `catch_panic`) catch the panic first and drop the
/// future afterwards: the gates must be told by then that it was a panic, or a breaker takes it for a caller that left.
#[test]
fn a_panic_that_is_caught_outside_of_the_gates_is_a_fault_too() {
    let log = Log::default();
    let guarded = Guard::new(Probe::new("a", &log)).layer(Func(|_: Request<u8>| async {
        if true {
            panic!("caught");
        }
        Ok::<u8, Error>(1)
    }));
    let mut call = Box::pin(guarded.call(Request::new(1)));
    assert!(panics(|| poll_once(call.as_mut()).is_ready()));
    log.expect(["a admits", "a: fault, Panicked"]);
    drop(call);
    log.expect([]);

    let error = now(kit_base::catch_panic(|| guarded.call(Request::new(1)))).unwrap_err();
    assert_eq!(error.reason(), Some("PANIC"));
    log.expect(["a admits", "a: fault, Panicked"]);
}

#[test]
fn a_panic_in_a_gate_finishes_the_permits_that_were_given() {
    let inner = || Func(|_: Request<u8>| async { Ok::<u8, Error>(1) });
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::new("b", &log), Probe::doing("c", &log, Act::PanicInAdmit));
    let guarded = Guard::new(gates).layer(inner());
    assert!(panics(|| drop(guarded.call(Request::new(1)))));
    log.expect(["a admits", "b admits", "b: fault, Panicked", "a: fault, Panicked"]);

    let guarded = Guard::new(Probe::doing("a", &log, Act::PanicInAnswer)).layer(inner());
    assert!(panics(|| now(guarded.call(Request::new(1))).is_ok()));
    log.expect(["a admits", "a: fault, Panicked"]);
}

#[test]
fn a_panic_in_the_judgement_finishes_the_call() {
    let log = Log::default();
    let judge = |_: &Result<u8, Error>| -> Judgement { panic!("in judge") };
    let guarded = Guard::with(Probe::new("a", &log), judge, kit_base::Monotonic)
        .layer(Func(|_: Request<u8>| async { Ok::<u8, Error>(1) }));
    assert!(panics(|| now(guarded.call(Request::new(1))).is_ok()));
    log.expect(["a admits", "a: fault, Panicked"]);
}

#[test]
fn nested_guards_finish_each_permit_once_and_answers_inside_out() {
    let log = Log::default();
    let inner = Guard::new(Probe::new("inner", &log)).layer(Func(|_: Request<u8>| async {
        one_turn().await;
        Err::<u8, _>(Error::not_found("x"))
    }));
    let guarded: Guarded<_, _, Standard> = Guard::new(Probe::new("outer", &log)).layer(inner);
    let mut call = Box::pin(guarded.call(Request::new(1)));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    log.expect(["outer admits", "inner admits", "inner: caller, Left", "outer: caller, Left"]);

    let mut call = Box::pin(guarded.call(Request::new(1)));
    assert!(poll_once(call.as_mut()).is_pending());
    assert!(matches!(poll_once(call.as_mut()), Poll::Ready(Err(_))));
    drop(call);
    log.expect([
        "outer admits",
        "inner admits",
        "inner answers caller",
        "inner: caller, Answered",
        "outer answers caller",
        "outer: caller, Answered",
    ]);
}

#[test]
fn an_outer_guard_sees_the_refusal_of_an_inner_one_as_an_outcome() {
    let log = Log::default();
    let inner = Guard::new(Probe::refusing("inner", &log)).layer(Func(|_: Request<u8>| async { Ok::<u8, Error>(1) }));
    let guarded = Guard::new(Probe::new("outer", &log)).layer(inner);
    let error = now(guarded.call(Request::new(1))).unwrap_err();
    assert_eq!(Failure::origin(&error), Origin::LocalRefusal);
    log.expect(["outer admits", "inner refuses", "outer answers overloaded", "outer: overloaded, Answered"]);
}

#[test]
fn the_end_can_be_made_by_hand_for_tests_of_gates() {
    let clock = kit_base::Monotonic;
    let now = Now::new(&clock);
    let mut end = End::answered(&Judgement::LEFT, &now);
    end.cause = Cause::Left;
    assert_eq!((end.cause, end.trailers.is_none()), (Cause::Left, true));
    assert_eq!(end.now.get(), now.get());
    assert_eq!(End::answered(&Judgement::SUCCESS, &now).cause, Cause::Answered);
}

#[test]
fn a_gate_that_panics_when_its_call_is_dropped_harms_nobody_else() {
    struct Careless;
    impl<Req, Res, Err> Gate<Req, Res, Err> for Careless {
        type Permit = ();
        fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
            Ok(())
        }
        fn finish(&self, (): (), _: &End<'_>) {
            panic!("careless");
        }
    }
    let log = Log::default();
    let never = || Func(|_: Request<u8>| std::future::pending::<Result<u8, Error>>());
    let guarded = Guard::new(Probe::new("outer", &log)).layer(Guard::new(Careless).layer(never()));
    drop(guarded.call(Request::new(1)));
    log.expect(["outer admits", "outer: caller, Left"]);
    // In a tuple as well, and when the call is answered.
    let tuple = Guard::new((Probe::new("outer", &log), Careless));
    drop(tuple.layer(never()).call(Request::new(1)));
    log.expect(["outer admits", "outer: caller, Left"]);
    let at_once = Func(|_: Request<u8>| std::future::ready(Ok::<u8, Error>(1)));
    assert!(panics(|| now(tuple.layer(at_once).call(Request::new(1))).is_ok()));
    log.expect(["outer admits", "outer answers success", "outer: success, Answered"]);
}

#[test]
fn a_panic_above_the_gates_says_nothing_of_the_endpoint() {
    let log = Log::default();
    let never = Func(|_: Request<u8>| std::future::pending::<Result<u8, Error>>());
    let guarded = Guard::new(Probe::new("a", &log)).layer(never);
    assert!(panics(|| {
        let _running = guarded.call(Request::new(1));
        panic!("the caller's own")
    }));
    log.expect(["a admits", "a: caller, Left"]);
}

#[test]
fn a_panic_of_the_judgement_is_a_fault_also_when_it_is_caught_outside() {
    let log = Log::default();
    let at_once = Func(|_: Request<u8>| std::future::ready(Ok::<u8, Error>(1)));
    let judge = |_: &Result<u8, Error>| -> Judgement { panic!("in the judgement") };
    let guarded = Guard::with(Probe::new("a", &log), judge, kit_base::Monotonic).layer(at_once);
    let outcome: Result<u8, Error> = now(kit_base::catch_panic(|| guarded.call(Request::new(1))));
    assert_eq!(outcome.unwrap_err().reason(), Some("PANIC"));
    log.expect(["a admits", "a: fault, Panicked"]);
}
