//! Peers that are gone and do not say so.

use std::time::{Duration, Instant};

use kit_base::{Error, Kind, Origin};
use kit_testing::net::Cable;
use kit_transport_grpc::Connections;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::ends::{calling, chain, soon};
use super::host::Host;

const SECOND: Duration = Duration::from_secs(1);

/// A host behind the cable.
fn far(cable: &Cable) -> Host {
    let bound = cable.inside(|| std::net::TcpListener::bind((cable.far(), 0))).unwrap().unwrap();
    bound.set_nonblocking(true).unwrap();
    Host::on(TcpListener::from_std(bound).unwrap())
}

/// Packets vanish while calls are sent, and while none are; each time the connection is given up after `limit`, with 1.5 of
/// it for one that is silent, and the next call takes another.
async fn loses_a_peer(connections: Connections, limit: Duration, slack: Duration) {
    let Some(cable) = Cable::or_skip() else { return };
    let host = far(&cable);
    let echo = host.echo(connections);
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("");
    soon(call).await.unwrap();

    // Something is sent, and no one hears it.
    cable.cut().unwrap();
    let started = Instant::now();
    let error = calling(&echo, "").await.unwrap().unwrap_err();
    let took = started.elapsed();
    println!("sent, and not acknowledged: {took:?}: {}", chain(&error));
    is_timed_out(&error, &host);
    assert!(took >= limit - limit / 10 && took < limit + slack, "{took:?}");

    // Something is awaited, and nothing is sent.
    cable.mend().unwrap();
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    let _open = line.call().await;
    cable.cut().unwrap();
    let started = Instant::now();
    let error = call.await.unwrap().unwrap_err();
    let took = started.elapsed();
    println!("awaited: {took:?}: {}", chain(&error));
    is_timed_out(&error, &host);
    assert!(took >= limit - limit / 10 && took < limit * 3 / 2 + slack, "{took:?}");

    cable.mend().unwrap();
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("found");
    assert_eq!(soon(call).await.unwrap(), "found");

    // Nothing goes on at all.
    cable.cut().unwrap();
    tokio::time::sleep(limit * 3 / 2 + slack).await;
    cable.mend().unwrap();
    let started = Instant::now();
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("found");
    assert_eq!(soon(call).await.unwrap(), "found");
    println!("idle, then called: {:?}", started.elapsed());
    assert!(started.elapsed() < SECOND);
}

fn is_timed_out(error: &Error, host: &Host) {
    let told = chain(error);
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{told}");
    assert!(told.contains(&host.addr().to_string()), "{told}");
}

#[tokio::test]
async fn a_peer_whose_packets_vanish_is_given_up() {
    loses_a_peer(Connections::new().tcp_user_timeout(SECOND), SECOND, 5 * SECOND).await;
}

#[tokio::test]
#[ignore = "lasts 45 seconds: runs with --deep"]
async fn a_peer_whose_packets_vanish_is_given_up_after_10_s_or_15_if_nothing_is_sent() {
    loses_a_peer(Connections::new(), 10 * SECOND, 2 * SECOND).await;
}

#[tokio::test]
async fn a_peer_that_hangs_while_its_kernel_goes_on_is_given_up_by_a_ping() {
    let host = Host::bind().await;
    let connections = Connections::new().keep_alive(SECOND).keep_alive_timeout(SECOND / 4);
    let echo = host.echo(connections);
    let started = Instant::now();
    let call = calling(&echo, "");
    let mut hanging = host.accept_raw().await;
    // Nothing but its SETTINGS.
    hanging.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let error = soon(call).await.unwrap_err();
    let took = started.elapsed();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{}", chain(&error));
    assert!(chain(&error).contains("keep-alive timed out"), "{}", chain(&error));
    assert!(took >= SECOND && took < 6 * SECOND, "{took:?}");
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("again");
    assert_eq!(soon(call).await.unwrap(), "again");
}
