//! Several ports on one server, and Unix sockets.

use std::net::SocketAddr;

use kit_serve::{Listener, Server};
use tower::service_fn;

use crate::support::{GET, Raw, bind, hello, start, until};

#[tokio::test]
async fn several_ports_are_served_with_one_stop_and_one_set_of_counters() {
    let mut server = bind().await;
    let mut addrs = vec![server.local_addr()];
    for _ in 0..2 {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        addrs.push(listener.local_addr().unwrap());
        server = server.listen(listener);
    }
    assert_eq!(server.local_addr(), addrs[0]);
    let server = start!(server, service_fn(hello));
    let mut clients = Vec::new();
    for _ in 0..3 {
        for addr in &addrs {
            let mut raw = Raw::connect(*addr).await;
            raw.send(GET).await;
            assert!(raw.response().await.ends_with("hello"));
            clients.push(raw);
        }
    }
    assert_eq!(server.stats.connections_open(), 9);
    assert!(server.stop().await.is_clean());
    for raw in &mut clients {
        assert_eq!(raw.rest().await, "");
    }
    for addr in addrs {
        assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    }
}

#[tokio::test]
async fn one_limit_of_connections_holds_for_all_ports() {
    let second = Listener::bind("127.0.0.1:0").await.unwrap();
    let addr = second.local_addr().unwrap();
    let server = start!(bind().await.listen(second).connections(std::num::NonZeroUsize::MIN), service_fn(hello));
    let mut first = Raw::connect(server.addr).await;
    first.send(GET).await;
    first.response().await;
    let mut waiting = Raw::connect(addr).await;
    waiting.send(GET).await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), waiting.0.readable()).await;
    assert!(early.is_err(), "served over the limit");
    drop(first);
    assert!(waiting.response().await.ends_with("hello"));
}

#[tokio::test]
async fn a_busy_port_does_not_starve_another() {
    let second = Listener::bind("127.0.0.1:0").await.unwrap();
    let addr = second.local_addr().unwrap();
    let server = start!(bind().await.listen(second), service_fn(hello));
    let busy = server.addr;
    let flood = tokio::spawn(async move {
        loop {
            let _ = tokio::net::TcpStream::connect(busy).await;
        }
    });
    until(|| server.stats.connections_total() > 20).await;
    for _ in 0..20 {
        let mut raw = Raw::connect(addr).await;
        raw.send(GET).await;
        assert!(raw.response().await.ends_with("hello"));
    }
    flood.abort();
}

#[tokio::test]
async fn a_listener_made_elsewhere_is_served() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let server = start!(Server::new(Listener::from_tcp(listener).unwrap()), service_fn(hello));
    assert_eq!(server.addr, addr);
    let mut raw = Raw::connect(addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("hello"));
}

#[cfg(unix)]
mod unix {
    use std::convert::Infallible;
    use std::error::Error;
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use http::Request;
    use kit_base::Peer;
    use kit_serve::{Listener, RequestBody, Server};
    use kit_testing::temp::temp_dir;
    use kit_testing::{http::curl, tools::skip_unless};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::Notify;
    use tower::service_fn;

    use crate::support::{GET, HANGS, hello, start, text, until};

    async fn server(path: &Path) -> Server {
        Server::new(Listener::unix(path).await.unwrap())
    }

    async fn rest(stream: &mut UnixStream) -> String {
        let mut rest = String::new();
        tokio::time::timeout(HANGS, stream.read_to_string(&mut rest)).await.expect("stays open").unwrap();
        rest
    }

    const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_unix_socket_is_served_has_no_address_and_its_file_goes_at_the_stop() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        let server = server(&path).await;
        assert_eq!(server.local_addr().to_string(), "0.0.0.0:0");
        let server = start!(
            server,
            service_fn(|request: Request<RequestBody>| async move {
                let peer = request.extensions().get::<Peer>().unwrap();
                Ok::<_, Infallible>(text(format!("{:?}", peer.addr)))
            })
        );
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("None"));
        if skip_unless("curl") {
            for version in ["--http1.1", "--http2-prior-knowledge"] {
                let path = path.to_str().unwrap();
                let response = curl(["--unix-socket", path, version, "http://kit/"]).await.unwrap();
                assert_eq!(response.body(), "None");
            }
        }
        assert!(server.stop().await.is_clean());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_file_goes_when_the_listener_the_server_or_its_future_is_dropped() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        drop(Listener::unix(&path).await.unwrap());
        assert!(!path.exists());
        drop(server(&path).await);
        assert!(!path.exists());
        let serving = tokio::spawn(server(&path).await.serve(service_fn(hello), std::future::pending()));
        UnixStream::connect(&path).await.unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_file_of_a_dead_server_is_replaced_and_that_of_a_live_one_is_not() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        // std's listener leaves its file behind, as a killed server does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = start!(server(&path).await, service_fn(hello));
        let error = Listener::unix(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains("kit.sock"), "{error}");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("hello"));
        live.stop().await;
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_refused_and_left_alone() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let error = Listener::unix(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(error.to_string(), format!("cannot listen on {}", path.display()));
        assert!(error.source().unwrap().to_string().contains("not a socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let error = Listener::unix(folder.path().join("none/kit.sock")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn the_file_of_a_successor_is_left_alone() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        let old = start!(server(&path).await, service_fn(hello));
        std::fs::remove_file(&path).unwrap();
        let new = start!(server(&path).await, service_fn(hello));
        old.stop().await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("hello"));
        new.stop().await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn tcp_and_unix_are_served_together() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        let server = server(&path).await.listen(Listener::bind("127.0.0.1:0").await.unwrap());
        assert_ne!(server.local_addr().port(), 0);
        let server = start!(server, service_fn(hello));
        let mut raw = crate::support::Raw::connect(server.addr).await;
        raw.send(GET).await;
        assert!(raw.response().await.ends_with("hello"));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("hello"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stop_loses_no_request_that_was_sent_before_it() {
        for _ in 0..20 {
            let folder = temp_dir().unwrap();
            let path = folder.path().join("kit.sock");
            let server = start!(server(&path).await, service_fn(hello));
            let mut clients = Vec::new();
            for _ in 0..50 {
                clients.push(UnixStream::connect(&path).await.unwrap());
            }
            for stream in &mut clients {
                stream.write_all(GET.as_bytes()).await.unwrap();
            }
            let task = server.begin_stop();
            for stream in &mut clients {
                assert!(rest(stream).await.ends_with("hello"));
            }
            drop(clients);
            assert!(task.await.unwrap().is_clean());
        }
    }

    #[tokio::test]
    async fn an_upgraded_connection_is_cut_at_the_bound_of_the_stop() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        let left = Arc::new(Notify::new());
        let gone = Arc::clone(&left);
        let server = start!(
            server(&path).await.stop_within(Duration::from_millis(200)),
            service_fn(move |mut request: Request<RequestBody>| {
                let gone = Arc::clone(&gone);
                async move {
                    let upgrade = hyper::upgrade::on(&mut request);
                    tokio::spawn(async move {
                        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
                        let _ = stream.read(&mut [0]).await;
                        gone.notify_one();
                    });
                    let response = http::Response::builder().status(101).header("connection", "upgrade");
                    let response = response.header("upgrade", "test").body(crate::support::Body::default());
                    Ok::<_, Infallible>(response.unwrap())
                }
            })
        );
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n").await.unwrap();
        until(|| server.stats.requests_total() == 1 && server.stats.requests_open() == 0).await;
        let since = Instant::now();
        assert_eq!(server.stop().await.cut_connections, 1);
        assert!(since.elapsed() < Duration::from_secs(5));
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 101 "));
        tokio::time::timeout(HANGS, left.notified()).await.expect("the service still waits for bytes");
    }
}
