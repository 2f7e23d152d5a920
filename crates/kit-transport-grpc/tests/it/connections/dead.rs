//! Peers that are gone and do not say so.

use std::time::{Duration, Instant};

use h2::Reason;
use kit_base::{Error, Kind, Origin};
use kit_testing::net::Cable;
use kit_transport_grpc::Connections;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::ends::{calling, chain, soon};
use super::host::Host;

const SECOND: Duration = Duration::from_secs(1);

/// A host behind the cable.
fn far(cable: &Cable) -> Host {
    let bound = cable.inside(|| std::net::TcpListener::bind((cable.far(), 0))).unwrap().unwrap();
    bound.set_nonblocking(true).unwrap();
    Host::on(TcpListener::from_std(bound).unwrap())
}

/// Packets vanish while something is sent, and while an answer is awaited; each time the connection is given up after `limit`, or
/// 1.5 of it, and the next call takes another.
async fn loses_a_peer(cable: &Cable, connections: Connections, limit: Duration, slack: Duration) {
    let host = far(cable);
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
    is_timed_out(&error, &host);
    assert!(took >= limit - limit / 10 && took < limit * 3 / 2 + slack, "{took:?}");

    cable.mend().unwrap();
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("found");
    assert_eq!(soon(call).await.unwrap(), "found");
}

fn is_timed_out(error: &Error, host: &Host) {
    let told = chain(error);
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{told}");
    assert!(told.contains(&host.addr().to_string()), "{told}");
}

#[tokio::test]
async fn a_peer_whose_packets_vanish_is_given_up() {
    let Some(cable) = Cable::or_skip() else { return };
    let limit = SECOND * 3 / 10;
    // TCP keep-alive knows whole seconds only: it takes 2 of them.
    loses_a_peer(&cable, Connections::new().tcp_user_timeout(limit), limit, 5 * SECOND).await;
}

#[tokio::test]
#[ignore = "lasts 30 seconds: runs with --deep"]
async fn a_peer_whose_packets_vanish_is_given_up_after_10_s_or_15_if_nothing_is_sent() {
    let Some(cable) = Cable::or_skip() else { return };
    let without_pings = || Connections::new().keep_alive(None);
    let idle = async {
        let Some(cable) = Cable::or_skip() else { return };
        let host = far(&cable);
        let echo = host.echo(without_pings());
        let call = calling(&echo, "");
        let mut line = host.accept().await;
        line.call().await.answer("");
        soon(call).await.unwrap();
        cable.cut().unwrap();
        tokio::time::sleep(17 * SECOND).await;
        cable.mend().unwrap();
        let started = Instant::now();
        let call = calling(&echo, "");
        let mut line = host.accept().await;
        line.call().await.answer("found");
        assert_eq!(soon(call).await.unwrap(), "found");
        assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    };
    tokio::join!(idle, loses_a_peer(&cable, without_pings(), 10 * SECOND, 2 * SECOND));
}

#[tokio::test]
async fn a_peer_that_hangs_while_its_kernel_goes_on_is_given_up_by_a_ping() {
    let host = Host::bind().await;
    let connections = Connections::new().keep_alive(SECOND).keep_alive_timeout(SECOND / 4);
    let echo = host.echo(connections);
    let started = Instant::now();
    let call = calling(&echo, "");
    let mut hanging = Frames::greet(&host).await;
    hanging.expect(HEADERS, 5 * SECOND).await;
    hanging.expect(PING, 5 * SECOND).await;
    let error = soon(call).await.unwrap_err();
    let took = started.elapsed();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{}", chain(&error));
    assert!(chain(&error).contains("did not answer a PING"), "{}", chain(&error));
    assert!(took >= SECOND * 5 / 4 && took < 6 * SECOND, "{took:?}");
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("again");
    assert_eq!(soon(call).await.unwrap(), "again");
}

#[tokio::test]
#[ignore = "lasts 15 seconds: runs with --deep"]
async fn a_ping_is_sent_only_with_calls_open_and_once_for_each_answer() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().keep_alive(SECOND));
    let call = calling(&echo, "");
    let mut peer = Frames::greet(&host).await;
    for _ in 0..2 {
        peer.expect(PING, 3 * SECOND).await;
        peer.send(PING, 1, 0, &[0x3b, 0x7c, 0xdb, 0x7a, 0x0b, 0x87, 0x16, 0xb4]).await;
        assert!(!peer.sees(PING, 3 * SECOND).await);
        peer.send(HEADERS, 4, 1, HEAD).await;
    }
    call.abort();
    peer.expect(RST_STREAM, SECOND).await;
    assert!(!peer.sees(PING, 3 * SECOND).await);
}

#[tokio::test]
async fn a_server_that_asks_for_calm_is_asked_half_as_often() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().keep_alive(SECOND));
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    let _open = line.call().await;
    line.go_away(Reason::ENHANCE_YOUR_CALM);
    let error = soon(call).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{}", chain(&error));
    line.ended().await;

    let _call = calling(&echo, "");
    let mut peer = Frames::greet(&host).await;
    peer.expect(HEADERS, SECOND).await;
    assert!(!peer.sees(PING, SECOND * 3 / 2).await);
    peer.expect(PING, 3 * SECOND).await;
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// The head of an answer: status 200, the content type.
pub(super) const HEAD: &[u8] = b"\x88\x5f\x10application/grpc";

/// A peer that sends and sees single frames.
pub(super) struct Frames(TcpStream);

impl Frames {
    pub(super) async fn greet(host: &Host) -> Self {
        let mut stream = host.accept_raw().await;
        stream.read_exact(&mut [0; 24]).await.unwrap();
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[0, 0, length, kind, flags], &stream.to_be_bytes()[..], payload].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads frames up to one of this kind.
    pub(super) async fn expect(&mut self, kind: u8, within: Duration) {
        assert!(self.sees(kind, within).await, "no frame of the kind {kind} within {within:?}");
    }

    async fn sees(&mut self, kind: u8, within: Duration) -> bool {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                self.0.read_exact(&mut vec![0; length as usize]).await.unwrap();
                if head[3] == kind {
                    return;
                }
            }
        };
        tokio::time::timeout(within, reading).await.is_ok()
    }
}
