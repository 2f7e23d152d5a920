//! What must not stop the line: a clock that goes back, and calls that nobody polls any more.

use std::time::Duration;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};

use super::Notes;
use crate::support::{ms, quota};
/// Of two runtimes, each with a paused clock of its own: tests that share a limit do so.
#[test]
fn where_the_clock_has_gone_back_by_more_than_a_minute_the_bucket_begins_again_and_fills() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let delay = Delay::new(quota(10, 2));
    runtime().block_on(async {
        tokio::time::advance(Duration::from_secs(7200)).await;
        delay.layer(Notes::new()).call(Request::new(0)).await.unwrap();
    });
    runtime().block_on(async {
        let notes = Notes::new();
        let endpoint = delay.layer(notes.clone());
        for n in 1..4 {
            endpoint.call(Request::new(n)).await.unwrap();
        }
        assert_eq!(notes.seen(), [(1, ms(100)), (2, ms(200)), (3, ms(300))]);
    });
}
