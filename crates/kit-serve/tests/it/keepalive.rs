//! HTTP/2 clients that vanish, and those that are only quiet.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::Full;
use kit_serve::{RequestBody, Server};
use kit_testing::http::curl;
use kit_testing::process::Child;
use kit_testing::tools::{skip_unless, skip_unless_or};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::service_fn;

use crate::events::Told;
use crate::frames::{ACK, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PREFACE, SETTINGS, Sent, field, frame, get};
use crate::frames::{setting, window_update};
use crate::support::{Body, GET, HANGS, Raw, bind, hello, start, text, until};

const INTERVAL: Duration = Duration::from_millis(100);
/// Long enough for a client of a test to answer, however busy the machine.
const TIMEOUT: Duration = Duration::from_millis(500);

/// After the last sign of life.
const BOUND: Duration = Duration::from_millis(600);

/// Clocks that tick in milliseconds.
const SLACK: Duration = Duration::from_millis(20);

async fn asking() -> Server {
    bind().await.http2_keepalive_interval(INTERVAL).http2_keepalive_timeout(TIMEOUT)
}

/// Says that it was dropped.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A request that takes as long as it is left alone.
async fn never(dropped: Arc<AtomicBool>) -> Result<Response<Body>, Infallible> {
    let _dropped = OnDrop(dropped);
    std::future::pending().await
}

fn is_bound(took: Duration) -> bool {
    took >= BOUND - SLACK && took < BOUND + Duration::from_secs(5)
}

/// Answers PINGs until the server sends something of interest.
async fn answer_pings(frames: &mut Frames, pongs: &mut u32) -> Sent {
    let answers = async {
        loop {
            match frames.next().await {
                Sent::Ping(payload) => {
                    *pongs += 1;
                    frames.send(frame(PING, ACK, 0, payload)).await;
                }
                Sent::Settings { .. } | Sent::Window => {}
                sent => return sent,
            }
        }
    };
    tokio::time::timeout(HANGS, answers).await.expect("nothing but PINGs")
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_ping_is_cut_and_its_request_dropped() {
    let (told, dropped) = (Told::default(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&dropped);
    let server =
        start!(told.observe(asking().await), service_fn(move |_: Request<RequestBody>| never(Arc::clone(&flag))));
    let mut frames = Frames::connect(server.addr).await;
    frames.send(get(1)).await;
    until(|| server.stats.requests_open() == 1).await;
    let since = Instant::now();
    let ping = frames.until(|sent| matches!(sent, Sent::Ping(_))).await;
    assert_ne!(ping, Sent::End, "cut unasked");
    assert!(since.elapsed() >= INTERVAL - SLACK, "{:?}", since.elapsed());
    assert_eq!(frames.next().await, Sent::End);
    assert!(is_bound(since.elapsed()), "{:?}", since.elapsed());
    until(|| dropped.load(SeqCst) && server.stats.requests_open() == 0).await;
    told.are(&["connection_opened", "connection_closed ping_timeout"]).await;
    assert_eq!(server.stats.connections_open(), 0);
}

#[tokio::test]
async fn an_idle_client_that_does_not_answer_a_ping_is_told_before_it_is_closed() {
    let told = Told::default();
    let server = start!(told.observe(asking().await.head_timeout(INTERVAL)), service_fn(hello));
    let since = Instant::now();
    let mut frames = Frames::connect(server.addr).await;
    assert_eq!(frames.until(|sent| matches!(sent, Sent::GoAway { .. })).await, Sent::GoAway { code: 0 });
    assert!(is_bound(since.elapsed()), "{:?}", since.elapsed());
    frames.until(|sent| *sent == Sent::End).await;
    told.are(&["connection_opened", "connection_closed ping_timeout"]).await;
}

#[tokio::test]
async fn a_client_that_answers_pings_keeps_its_quiet_request() {
    let go = Arc::new(Notify::new());
    let gone = Arc::clone(&go);
    let server = start!(
        asking().await.idle_timeout(BOUND),
        service_fn(move |_: Request<RequestBody>| {
            let gone = Arc::clone(&gone);
            async move {
                gone.notified().await;
                Ok::<_, Infallible>(text("at last"))
            }
        })
    );
    let mut frames = Frames::connect(server.addr).await;
    frames.send(get(1)).await;
    let mut pongs = 0;
    let quiet = tokio::time::timeout(2 * BOUND, answer_pings(&mut frames, &mut pongs)).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert!((3..=12).contains(&pongs), "{pongs} PINGs");
    go.notify_one();
    assert_eq!(answer_pings(&mut frames, &mut pongs).await, Sent::Head { stream: 1, status: 200 });
    assert_eq!(server.stats.requests_total(), 1);
}

#[tokio::test]
async fn an_idle_connection_whose_client_answers_pings_still_ends_when_it_was_idle_for_long_enough() {
    let told = Told::default();
    let server = start!(told.observe(asking().await.idle_timeout(9 * INTERVAL)), service_fn(hello));
    let since = Instant::now();
    let mut frames = Frames::connect(server.addr).await;
    frames.send(get(1)).await;
    let mut pongs = 0;
    assert_eq!(answer_pings(&mut frames, &mut pongs).await, Sent::Head { stream: 1, status: 200 });
    assert!(matches!(answer_pings(&mut frames, &mut pongs).await, Sent::Data { .. }));
    assert_eq!(answer_pings(&mut frames, &mut pongs).await, Sent::GoAway { code: 0 });
    assert!(since.elapsed() >= 9 * INTERVAL - SLACK, "{:?}", since.elapsed());
    assert!(pongs >= 2, "{pongs} PINGs");
    drop(frames);
    told.are(&["connection_opened", "connection_closed idle"]).await;
}

#[tokio::test]
async fn without_an_interval_no_client_is_sent_a_ping() {
    let server = start!(
        asking().await.http2_keepalive_interval(None),
        service_fn(|_: Request<RequestBody>| never(Arc::default()))
    );
    let mut frames = Frames::connect(server.addr).await;
    frames.send(get(1)).await;
    let mut pings = 0;
    let quiet = tokio::time::timeout(2 * BOUND, answer_pings(&mut frames, &mut pings)).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!((pings, server.stats.requests_open()), (0, 1));
}

#[tokio::test]
async fn over_http_1_a_quiet_request_is_left_alone() {
    let server = start!(asking().await, service_fn(|_: Request<RequestBody>| never(Arc::default())));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(tokio::time::timeout(2 * BOUND, raw.0.read(&mut [0])).await.is_err());
    assert_eq!(server.stats.requests_open(), 1);
}

#[tokio::test]
async fn whatever_a_client_sends_shows_that_it_lives() {
    let server = start!(asking().await, service_fn(|_: Request<RequestBody>| never(Arc::default())));
    let mut frames = Frames::connect(server.addr).await;
    frames.send(get(1)).await;
    // It answers no PING, but moves its window.
    let since = Instant::now();
    while since.elapsed() < 2 * BOUND {
        assert!(frames.send(window_update(0, 1)).await);
        tokio::time::sleep(TIMEOUT / 4).await;
    }
    assert_eq!(server.stats.requests_open(), 1);
    let silent = Instant::now();
    frames.until(|sent| *sent == Sent::End).await;
    // A PING is without an answer already.
    assert!(silent.elapsed() >= TIMEOUT - TIMEOUT / 4 - SLACK && silent.elapsed() < BOUND + Duration::from_secs(5));
}

/// A call of gRPC, for which no least rate holds, whose answer is large.
fn grpc_call() -> Vec<u8> {
    const WINDOW: u32 = (1 << 31) - 1 - 65_535;
    let head = [crate::frames::POST, &field("content-type", "application/grpc")].concat();
    let call = frame(HEADERS, END_STREAM | END_HEADERS, 1, head);
    [PREFACE, &setting(4, WINDOW), &frame(SETTINGS, ACK, 0, []), &window_update(0, WINDOW), &call].concat()
}

const LARGE: usize = 16 * 1024 * 1024;

async fn large(_: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    Ok(Response::builder().header("content-type", "application/grpc").body(Full::from(vec![b'x'; LARGE])).unwrap())
}

async fn connect_with_a_small_buffer(server: &crate::support::Running) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(server.addr).await.unwrap()
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_a_download_is_cut_although_its_socket_is_full() {
    let told = Told::default();
    let server = start!(told.observe(asking().await), service_fn(large));
    let since = Instant::now();
    let mut client = connect_with_a_small_buffer(&server).await;
    client.write_all(&grpc_call()).await.unwrap();
    told.are(&["connection_opened", "connection_closed ping_timeout"]).await;
    assert!(is_bound(since.elapsed()), "{:?}", since.elapsed());
    assert_eq!((server.stats.connections_open(), server.stats.requests_open()), (0, 0));
}

#[tokio::test]
async fn a_slow_download_is_a_sign_of_life_while_the_ping_waits_behind_it() {
    let server = start!(asking().await, service_fn(large));
    let since = Instant::now();
    let mut client = connect_with_a_small_buffer(&server).await;
    client.write_all(&grpc_call()).await.unwrap();
    // It says nothing from here on, and takes a part of its answer from time to time.
    let (mut taken, mut part) = (0, vec![0; 512 * 1024]);
    while taken < LARGE {
        taken += tokio::time::timeout(HANGS, client.read_exact(&mut part)).await.unwrap().expect("cut");
        tokio::time::sleep(INTERVAL / 2).await;
    }
    assert!(since.elapsed() > 2 * BOUND, "too fast to show anything: {:?}", since.elapsed());
}

/// Clients that take a moment to answer, on a thread of their own, until `done`; how many PINGs they answered, or what
/// ended them.
fn clients(addr: SocketAddr, count: usize, done: &Arc<AtomicBool>) -> JoinHandle<Result<u32, Sent>> {
    let done = Arc::clone(done);
    let client = move || {
        let done = Arc::clone(&done);
        async move {
            let mut frames = Frames::connect(addr).await;
            frames.send(get(1)).await;
            let mut pongs = 0;
            while !done.load(SeqCst) {
                let Ok(sent) = tokio::time::timeout(INTERVAL, frames.next()).await else { continue };
                match sent {
                    Sent::Ping(payload) => {
                        tokio::time::sleep(2 * SLACK).await;
                        frames.send(frame(PING, ACK, 0, payload)).await;
                        pongs += 1;
                    }
                    Sent::Settings { .. } | Sent::Window => {}
                    sent => return Err(sent),
                }
            }
            Ok(pongs)
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clients: JoinSet<_> = std::iter::repeat_with(client).take(count).collect();
            clients.join_all().await.into_iter().sum()
        })
    })
}

#[test]
fn a_server_that_was_too_busy_to_see_the_answers_cuts_nobody() {
    const CLIENTS: usize = 9;
    // It learns of one client's bytes at a time, as one with thousands does after it stood still, and of all timers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(1).build().unwrap();
    runtime.block_on(async {
        let server = asking().await.http2_keepalive_interval(SLACK);
        let server = start!(server, service_fn(|_: Request<RequestBody>| never(Arc::default())));
        let done = Arc::default();
        let clients = clients(server.addr, CLIENTS, &done);
        until(|| server.stats.requests_open() == CLIENTS as u64).await;
        for _ in 0..3 {
            // Long enough for PINGs to be sent and too short for their answers, whose time ends while nothing is seen.
            tokio::time::sleep(2 * SLACK).await;
            std::thread::sleep(TIMEOUT + INTERVAL);
        }
        done.store(true, SeqCst);
        let pongs = tokio::task::spawn_blocking(|| clients.join().unwrap()).await.unwrap().expect("cut");
        assert!(pongs >= 2 * u32::try_from(CLIENTS).unwrap(), "{pongs} PINGs");
    });
}

#[tokio::test]
async fn a_tunnel_with_nothing_but_pings_is_idle() {
    let told = Told::default();
    let server = start!(
        told.observe(asking().await.head_timeout(INTERVAL).idle_timeout(9 * INTERVAL)),
        service_fn(|mut request: Request<RequestBody>| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let _stream = upgrade.await;
                std::future::pending::<()>().await;
            });
            Ok::<_, Infallible>(Response::new(Body::default()))
        })
    );
    let mut frames = Frames::connect(server.addr).await;
    let connect = [field(":method", "CONNECT"), field(":authority", "t:80")].concat();
    frames.send(frame(HEADERS, END_HEADERS, 1, connect)).await;
    let mut pongs = 0;
    assert_eq!(answer_pings(&mut frames, &mut pongs).await, Sent::Head { stream: 1, status: 200 });
    let since = Instant::now();
    assert_eq!(answer_pings(&mut frames, &mut pongs).await, Sent::GoAway { code: 0 });
    assert!(since.elapsed() >= 9 * INTERVAL - 2 * SLACK, "{:?}", since.elapsed());
    assert!(pongs >= 2, "{pongs} PINGs");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_answer_to_a_ping() {
    let server = bind().await.http2_keepalive_interval(INTERVAL).http2_keepalive_timeout(Duration::from_secs(600));
    let server = start!(server, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    frames.until(|sent| matches!(sent, Sent::Ping(_))).await;
    let since = Instant::now();
    assert!(server.stop().await.is_clean());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[tokio::test]
async fn extreme_durations_do_not_panic() {
    for limit in [Duration::ZERO, Duration::MAX] {
        let server = bind().await.http2_keepalive_interval(limit).http2_keepalive_timeout(limit);
        let server = start!(server, service_fn(hello));
        let mut frames = Frames::connect(server.addr).await;
        frames.send(get(1)).await;
        frames.until(|sent| matches!(sent, Sent::Head { .. })).await;
        drop(frames);
        let stats = server.stats.clone();
        server.stop().await;
        assert_eq!(stats.panics(), 0);
    }
}

/// A server that takes longer for each answer than a client may be silent.
async fn slow() -> crate::support::Running {
    start!(
        asking().await.head_timeout(INTERVAL),
        service_fn(|_: Request<RequestBody>| async {
            tokio::time::sleep(BOUND + INTERVAL).await;
            Ok::<_, Infallible>(text("hello"))
        })
    )
}

/// As curl, it reads nothing while it is idle, and so answers no PING; its connection has ended when it goes on.
const HTTPX: &str = "
import sys, time, httpx

# As by default, but for the time.
limits = httpx.Limits(keepalive_expiry=0.1)
with httpx.Client(http1=False, http2=True, limits=limits, timeout=20) as client:
    for pause in (0, 1):
        time.sleep(pause)
        answer = client.get(sys.argv[1])
        print(answer.http_version, answer.status_code, answer.text)
";

#[tokio::test]
async fn httpx_is_not_disturbed() {
    const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
    if !skip_unless_or(PYTHON, "run `cargo xtask servers httpx`") {
        return;
    }
    let server = slow().await;
    let mut httpx =
        Child::spawn(Command::new(PYTHON).args(["-c", HTTPX, &format!("http://{}/", server.addr)])).unwrap();
    let (status, httpx) = tokio::task::spawn_blocking(move || (httpx.wait(HANGS).unwrap(), httpx)).await.unwrap();
    assert!(status.success(), "{}", httpx.stderr());
    assert_eq!(httpx.stdout(), "HTTP/2 200 hello\nHTTP/2 200 hello\n");
    assert_eq!(server.stats.requests_total(), 2);
}

#[tokio::test]
async fn curl_is_not_disturbed() {
    if !skip_unless("curl") {
        return;
    }
    let server = slow().await;
    let url = format!("http://{}/", server.addr);
    // Two, of which the second begins two seconds after the first.
    let answer = curl(["--http2-prior-knowledge", "--rate", "30/m", &url, &url]).await.unwrap();
    assert!(answer.body().ends_with(b"hello"), "{:?}", answer.body());
    assert_eq!((server.stats.requests_total(), server.stats.connections_total()), (2, 2));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_behind_a_cable_that_is_cut_are_gone_soon() {
    use kit_testing::net::Cable;
    let Some(cable) = Cable::or_skip() else { return };
    let told = Told::default();
    let listener = tokio::net::TcpListener::bind((cable.near(), 0)).await.unwrap();
    let server = Server::from_listener(listener).unwrap().head_timeout(INTERVAL);
    let server = server.http2_keepalive_interval(INTERVAL).http2_keepalive_timeout(TIMEOUT);
    let server = start!(
        told.observe(server),
        service_fn(|request: Request<RequestBody>| async move {
            if request.method() == http::Method::GET { never(Arc::default()).await } else { large(request).await }
        })
    );
    // One waits for its answer, one takes a large one, and one is idle.
    let far = |bytes: Vec<u8>| {
        let connect = || std::net::TcpStream::connect(server.addr).unwrap();
        let stream = cable.inside(connect).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
        async move {
            stream.write_all(&bytes).await.unwrap();
            stream
        }
    };
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, [])].concat();
    let mut waits = Frames::over(far([&begin[..], &get(1)].concat()).await);
    let mut idle = Frames::over(far(begin).await);
    let mut takes = far(grpc_call()).await;
    // As long as the cable is whole, all three live.
    let download = async {
        let mut part = vec![0; 256 * 1024];
        while takes.read_exact(&mut part).await.is_ok() {
            tokio::time::sleep(INTERVAL / 2).await;
        }
    };
    let mut pongs = [0, 0];
    let [first, second] = &mut pongs;
    tokio::select! {
        sent = answer_pings(&mut waits, first) => panic!("{sent:?}"),
        sent = answer_pings(&mut idle, second) => panic!("{sent:?}"),
        () = download => panic!("cut, or read too soon"),
        () = tokio::time::sleep(2 * BOUND) => {}
    }
    assert!(pongs.iter().all(|pongs| *pongs > 2), "{pongs:?} PINGs");
    assert_eq!((server.stats.connections_open(), server.stats.requests_total()), (3, 2));
    cable.cut().unwrap();
    let since = Instant::now();
    let mut events = vec!["connection_opened"; 3];
    events.extend(["connection_closed ping_timeout"; 3]);
    told.are(&events).await;
    // The last sign of life came at most an interval before, and the idle one has a moment to read that it ends.
    assert!(
        since.elapsed() > TIMEOUT - SLACK && since.elapsed() < BOUND + Duration::from_secs(6),
        "{:?}",
        since.elapsed()
    );
    until(|| server.stats.requests_open() == 0).await;
    assert_eq!(server.stats.connections_open(), 0);
    assert!(server.stop().await.is_clean());
}
