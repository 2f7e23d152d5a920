//! A client that does nothing wrong, and must not suffer from those who do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::support::{GET, Raw, get, http2};

/// The longest that a request of a well-behaved client may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a request every few milliseconds, over both protocols, on connections that stay and on new ones.
pub(super) struct WellBehaved(JoinHandle<()>);

impl WellBehaved {
    pub(super) fn start(addr: SocketAddr) -> Self {
        Self(tokio::spawn(async move {
            let mut old = Raw::connect(addr).await;
            let mut old2 = http2(addr).await;
            loop {
                let since = Instant::now();
                old.send(GET).await;
                assert!(old.response().await.starts_with("HTTP/1.1 200 "));
                let mut new = Raw::connect(addr).await;
                new.send(GET).await;
                assert!(new.response().await.starts_with("HTTP/1.1 200 "));
                assert_eq!(old2.send_request(get(addr)).await.unwrap().status(), 200);
                assert_eq!(http2(addr).await.send_request(get(addr)).await.unwrap().status(), 200);
                assert!(since.elapsed() < 4 * PATIENCE, "served too slowly: {:?}", since.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
    }

    /// Ends it; panics if it was not served well.
    pub(super) async fn was_served(self) {
        self.0.abort();
        match self.0.await {
            Err(error) if error.is_cancelled() => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
            Ok(()) => {}
        }
    }
}
