//! The places where users put a limit, with real servers and clients: that it holds there, how its refusal arrives, and that
//! it goes on.

mod arrives;
mod five;
mod gives_back;
mod headline;
pub(crate) mod health;
mod keys;
mod passes_through;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use kit_base::{Clock, Guard, Standard};
use kit_ratelimit::RateLimit;
use kit_testing::clock::ManualClock;
use tokio::net::TcpListener;

use crate::support::quota;

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

/// A guard on a clock that stands still until the test moves it.
struct Limit<G> {
    guard: Guard<G, Standard, ManualClock>,
    clock: ManualClock,
}

impl<G> Limit<G> {
    fn of(gate: G) -> Self {
        let clock = ManualClock::new();
        Self { guard: Guard::with(gate, Standard, clock.clone()), clock }
    }
}

impl Limit<RateLimit> {
    /// So many tokens are left.
    fn left(&self) -> u32 {
        self.guard.gate().standing_at(self.clock.now()).remaining
    }
}

/// Five a second.
fn five() -> RateLimit {
    RateLimit::new(quota(5, 5))
}

/// Waits until it holds: a server may see the end of a call after its client does.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(HANGS, held).await.unwrap_or_else(|_| panic!("never {what}"));
}

/// A router that answers `good` to everything, and how many requests have come to its handler.
fn routes() -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let handler = move || {
        count.fetch_add(1, SeqCst);
        async { "good" }
    };
    (Router::new().fallback(handler), calls)
}

/// Serves it on a free port by axum's own server; dropped with the test's runtime.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}
