//! Allocations are counted, for one thread at a time.

use std::future::poll_fn;
use std::hint::black_box;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;

use kit_testing::alloc::{CountingAllocator, count, count_async, count_ready, count_with, counting};

#[global_allocator]
static ALLOCATOR: CountingAllocator = counting();

#[test]
fn blocks_and_bytes_are_counted() {
    let counts = count(|| (black_box(Box::new([0_u8; 100])), black_box(vec![0_u16; 7])));
    assert_eq!((counts.allocations, counts.bytes), (2, 114));
    assert_eq!(counts.to_string(), "2 allocations, 114 bytes");
}

#[test]
fn a_block_that_grows_counts_again() {
    let mut list: Vec<u64> = Vec::with_capacity(1);
    let ((), counts) = count_with(|| list.extend([1, 2]));
    assert_eq!(counts.allocations, 1);
}

#[test]
fn code_that_allocates_nothing_counts_zero() {
    assert_eq!(count(|| black_box(1 + 1)).allocations, 0);
    let boxed = Box::new(1);
    assert_eq!(count(move || drop(boxed)).allocations, 0, "giving back is no allocation");
}

#[test]
fn other_threads_are_not_counted() {
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
        assert_eq!(counts.allocations, 0);
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

#[tokio::test]
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

#[test]
fn a_future_that_does_not_wait_needs_no_runtime() {
    let (sum, counts) = count_ready(|| async { 1 + 1 });
    assert_eq!((sum, counts.allocations), (2, 0));
}

#[test]
#[should_panic(expected = "use `count_async`")]
fn a_future_that_waits_is_refused_without_a_runtime() {
    count_ready(std::future::pending::<()>);
}
