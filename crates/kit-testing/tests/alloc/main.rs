//! Allocations are counted: a program without a test harness, whose threads would be counted too.

use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::panic::{self, UnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use kit_testing::alloc::{CountingAllocator, count, count_async, count_ready, count_with, counting};

#[global_allocator]
static ALLOCATOR: CountingAllocator = counting();

fn main() {
    blocks_and_bytes_are_counted();
    a_block_that_grows_counts_again_with_what_it_grew_by();
    code_that_allocates_nothing_counts_zero();
    a_count_within_a_count_is_part_of_it();
    counted_code_that_panics_leaves_the_next_count_right();
    other_threads_are_counted_too();
    counts_of_several_threads_wait_for_each_other();
    a_future_is_counted_from_its_making_to_its_end_and_not_while_it_waits();
    a_future_that_does_not_wait_needs_no_runtime();
    a_future_that_waits_is_refused_without_a_runtime();
}

fn blocks_and_bytes_are_counted() {
    let counts = count(|| (black_box(Box::new([0_u8; 100])), black_box(vec![0_u16; 7])));
    assert_eq!((counts.allocations, counts.bytes), (2, 114));
    assert_eq!(counts.to_string(), "2 allocations, 114 bytes");
}

fn a_block_that_grows_counts_again_with_what_it_grew_by() {
    let mut list: Vec<u64> = Vec::with_capacity(1);
    let ((), counts) = count_with(|| list.reserve_exact(3));
    assert_eq!((counts.allocations, counts.bytes), (1, 16));
    let ((), counts) = count_with(|| list.shrink_to(1));
    assert_eq!((counts.allocations, counts.bytes), (1, 0));
}

fn code_that_allocates_nothing_counts_zero() {
    assert_eq!(count(|| black_box(1 + 1)).allocations, 0);
    let boxed = black_box(Box::new(1));
    assert_eq!(count(move || drop(boxed)).allocations, 0, "giving back is no allocation");
}

fn a_count_within_a_count_is_part_of_it() {
    let (inner, outer) = count_with(|| {
        black_box(Box::new(1_u8));
        count(|| black_box(Box::new(2_u8)))
    });
    assert_eq!((inner.allocations, outer.allocations), (1, 2));
}

fn counted_code_that_panics_leaves_the_next_count_right() {
    assert_eq!(panic_of(|| count(|| panic!("on purpose"))), Some("on purpose"));
    assert_eq!(count(|| black_box(Box::new(1_u8))).allocations, 1);
    let elsewhere = thread::scope(|scope| scope.spawn(|| count(|| ())).join());
    assert!(elsewhere.is_ok(), "another thread has its turn");
}

fn other_threads_are_counted_too() {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            drop(black_box(vec![0_u8; 1000]));
            barrier.wait();
        });
        let counts = count(|| {
            barrier.wait();
            barrier.wait();
        });
        // Not an exact count: the end of the thread may be in it.
        assert!(counts.allocations >= 1 && counts.bytes >= 1000, "{counts}");
    });
}

fn counts_of_several_threads_wait_for_each_other() {
    const THREADS: usize = 4;
    // Starting and ending a thread may allocate: all of them, and this one, meet between the two.
    let (started, counted) = (Barrier::new(THREADS + 1), Barrier::new(THREADS));
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                started.wait();
                let mut wrong = 0;
                for _ in 0..1000 {
                    let (others, counts) = count_with(|| {
                        let others = inside.fetch_add(1, Ordering::SeqCst);
                        drop(black_box(Box::new(1_u8)));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        others
                    });
                    wrong += usize::from((others, counts.allocations) != (0, 1));
                }
                counted.wait();
                assert_eq!(wrong, 0);
            });
        }
        started.wait();
    });
}

/// Waits for one poll, and allocates nothing. (Tokio's `yield_now` allocates, in a list of deferred wakers.)
async fn wait_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[tokio::main(flavor = "current_thread")]
async fn a_future_is_counted_from_its_making_to_its_end_and_not_while_it_waits() {
    let (text, counts) = count_async(|| {
        Box::pin(async {
            let first = black_box(Box::new(1_u8));
            wait_once().await;
            format!("{}{}", first, black_box(Box::new(2_u8)))
        })
    })
    .await;
    assert_eq!(text, "12");
    // The pinned box, the two numbers and the text. What the runtime does between two polls is not in it.
    assert_eq!(counts.allocations, 4);
}

fn a_future_that_does_not_wait_needs_no_runtime() {
    let (sum, counts) = count_ready(|| async { 1 + 1 });
    assert_eq!((sum, counts.allocations), (2, 0));
}

fn a_future_that_waits_is_refused_without_a_runtime() {
    let text = panic_of(|| count_ready(pending::<()>));
    assert!(text.is_some_and(|text| text.contains("use `count_async`")), "{text:?}");
}

/// What `run` panics with, which is not printed.
fn panic_of<R>(run: impl FnOnce() -> R + UnwindSafe) -> Option<&'static str> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(run);
    panic::set_hook(hook);
    result.err()?.downcast_ref().copied()
}
