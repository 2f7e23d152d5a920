//! Connections on which nothing happens for long, to a server that counts PINGs.

use std::time::{Duration, Instant};

use kit_transport_grpc::Connections;

use super::{after, echo_of};
use crate::peers::{Peer, python_is_here};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "lasts 20 minutes: runs with --deep"]
async fn twenty_quiet_minutes_cost_no_connection_to_a_server_that_forbids_pings() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--forbid-pings"]).await;
    let minutes = 20 * 60 * SECOND;
    let waiting = async {
        let echo = echo_of(&peer, Connections::new());
        let first = after(Duration::ZERO, &echo).await.unwrap();
        let started = Instant::now();
        // Not a byte comes in all that time, but for answers to PINGs.
        let last = after(minutes, &echo).await.unwrap();
        assert!(started.elapsed() >= minutes);
        assert_eq!(first, last);
        assert_eq!(first, after(Duration::ZERO, &echo).await.unwrap());
    };
    let idle = async {
        let echo = echo_of(&peer, Connections::new());
        let first = after(Duration::ZERO, &echo).await.unwrap();
        tokio::time::sleep(minutes).await;
        assert_eq!(first, after(Duration::ZERO, &echo).await.unwrap());
    };
    let slow = async {
        let echo = echo_of(&peer, Connections::new());
        let first = after(Duration::ZERO, &echo).await.unwrap();
        let started = Instant::now();
        // Silent for long enough to be asked each time, between answers that set the server's count back.
        while started.elapsed() < minutes {
            assert_eq!(first, after(12 * SECOND, &echo).await.unwrap());
        }
    };
    tokio::join!(waiting, idle, slow);
}

#[tokio::test]
#[ignore = "lasts 10 seconds: runs with --deep"]
async fn a_server_that_forbids_pings_takes_one_after_each_of_its_answers() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--forbid-pings"]).await;
    let echo = echo_of(&peer, Connections::new().keep_alive(SECOND));
    let first = after(Duration::ZERO, &echo).await.unwrap();
    for _ in 0..8 {
        assert_eq!(first, after(SECOND * 6 / 5, &echo).await.unwrap());
    }
    // Without answers between them, it takes two.
    let echo = echo_of(&peer, Connections::new().keep_alive(SECOND).keep_alive_interval(SECOND));
    let error = after(8 * SECOND, &echo).await.unwrap_err();
    assert_eq!(error.message(), "Too many pings");
}
