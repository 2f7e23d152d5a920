//! Connections on which nothing happens for long, to a server that forbids PINGs.

use std::time::{Duration, Instant};

use kit_base::Kind;
use kit_transport_grpc::Connections;

use super::{after, echo_of};
use crate::peers::{Peer, python_is_here};

#[tokio::test]
#[ignore = "lasts 20 minutes: runs with --deep"]
async fn twenty_quiet_minutes_cost_no_connection_to_a_server_that_forbids_pings() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--forbid-pings"]).await;
    let minutes = Duration::from_secs(20 * 60);
    let waiting = async {
        let echo = echo_of(&peer, Connections::new());
        let first = after(Duration::ZERO, &echo).await.unwrap();
        let started = Instant::now();
        // Not a byte comes in all that time, as nothing is said before the answer is.
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
    tokio::join!(waiting, idle);
}

#[tokio::test]
#[ignore = "lasts 10 seconds: runs with --deep"]
async fn a_server_that_has_enough_of_pings_costs_one_connection_and_makes_the_next_calmer() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--forbid-pings"]).await;
    let second = Duration::from_secs(1);
    let echo = echo_of(&peer, Connections::new().keep_alive(second));
    let started = Instant::now();
    // The first PING is free, and the third one after it is too much.
    let error = after(8 * second, &echo).await.unwrap_err();
    let lasted = started.elapsed();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(lasted >= 3 * second && lasted < 8 * second, "{lasted:?}");
    // Now each 2 s: too much only after 8 s.
    after(6 * second, &echo).await.unwrap();
    println!("{error:?}");
}
