//! TLS: by curl and by rustls, with and without certificates of clients, and with clients that get it wrong.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit_base::Peer;
use kit_serve::{Listener, RequestBody, Server, Tls};
use kit_testing::temp::temp_dir;
use kit_testing::{http::curl, tools::skip_unless};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tower::service_fn;

use crate::support::{GET, HANGS, Raw, bind, echo, get, hello, is_closed_after, start, text, until};

const SHORT: Duration = Duration::from_millis(200);

/// An authority for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Identity(CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        // Another name than those of its certificates, or OpenSSL takes them for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity(certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self) -> ServerConfig {
        let Identity(certificate, key) = self.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap()
    }

    /// Which asks for a client's certificate, and may insist on it.
    fn mutual(&self, required: bool) -> ServerConfig {
        let Identity(certificate, key) = self.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider));
        let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate], key)
            .unwrap()
    }

    fn client(&self, identity: Option<Identity>, protocols: &[&[u8]]) -> TlsConnector {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let mut config = match identity {
            Some(Identity(certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

async fn server(tls: impl Into<Tls>) -> Server {
    Server::new(Listener::bind("127.0.0.1:0").await.unwrap().tls(tls))
}

async fn connect(client: &TlsConnector, addr: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    tokio::time::timeout(HANGS, client.connect(name, stream)).await.expect("the handshake hangs")
}

/// All until the server ends the connection, which it must do by a `close_notify`.
async fn rest(stream: &mut TlsStream<TcpStream>) -> String {
    let mut rest = String::new();
    tokio::time::timeout(HANGS, stream.read_to_string(&mut rest)).await.expect("stays open").unwrap();
    rest
}

/// One response that has a content-length, and is here at once when it is.
async fn response(stream: &mut TlsStream<TcpStream>) -> String {
    let mut response = Vec::new();
    while !response.ends_with(b"hello") {
        let read = tokio::time::timeout(HANGS, stream.read_buf(&mut response)).await.expect("no answer").unwrap();
        assert_ne!(read, 0, "{response:?}");
    }
    String::from_utf8(response).unwrap()
}

const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";

async fn version(request: Request<RequestBody>) -> Result<http::Response<crate::support::Body>, Infallible> {
    assert_eq!(request.extensions().get(), Some(&http::uri::Scheme::HTTPS));
    Ok(text(format!("{:?}", request.version())))
}

/// Who the client has proved to be.
async fn identity(request: Request<RequestBody>) -> Result<http::Response<crate::support::Body>, Infallible> {
    let peer = request.extensions().get::<Peer>().unwrap();
    assert!(peer.addr.is_some());
    let chain = peer.tls.as_ref().map(|tls| tls.certificates.clone());
    Ok(text(format!("{chain:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_over_both_protocols() {
    if !skip_unless("curl") {
        return;
    }
    let authority = Authority::new();
    let folder = temp_dir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.0.pem()).unwrap();
    let server = start!(server(authority.server()).await, service_fn(version));
    for (flag, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        let url = format!("https://localhost:{}/", server.addr.port());
        let resolve = format!("localhost:{}:127.0.0.1", server.addr.port());
        let args = ["--cacert", file.to_str().unwrap(), "--resolve", &resolve, flag, &url];
        assert_eq!(curl(args).await.unwrap().body(), version);
    }
    assert!(server.stop().await.is_clean());
}

#[tokio::test]
async fn h2_and_http_1_1_are_offered_unless_the_configuration_names_others() {
    let authority = Authority::new();
    let mut only = authority.server();
    only.alpn_protocols = vec![b"http/1.1".to_vec()];
    let both: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let one: [&[u8]; 1] = [b"http/1.1"];
    for (config, asked, agreed) in [
        (authority.server(), &both[..], Some(&b"h2"[..])),
        (authority.server(), &one[..], Some(&b"http/1.1"[..])),
        (authority.server(), &[][..], None),
        (only, &both[..], Some(&b"http/1.1"[..])),
    ] {
        let server = start!(server(config).await, service_fn(version));
        let stream = connect(&authority.client(None, asked), server.addr).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        if agreed == Some(b"h2") {
            let io = TokioIo::new(stream);
            let (mut client, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let response = client.send_request(get(server.addr)).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "HTTP/2.0");
        } else {
            let mut stream = stream;
            stream.write_all(CLOSE).await.unwrap();
            assert!(rest(&mut stream).await.ends_with("HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn a_client_that_speaks_another_protocol_than_agreed_is_closed_unserved() {
    let authority = Authority::new();
    let server = start!(server(authority.server()).await, service_fn(hello));
    let cases: [(&[u8], &[u8]); 2] =
        [(b"h2", GET.as_bytes()), (b"http/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")];
    for (agreed, spoken) in cases {
        let mut stream = connect(&authority.client(None, &[agreed]), server.addr).await.unwrap();
        stream.write_all(spoken).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
    }
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn the_verified_certificate_of_a_client_is_its_peers_identity() {
    let authority = Authority::new();
    let server = start!(server(authority.mutual(false)).await, service_fn(identity));
    let alice = authority.issue("alice", ExtendedKeyUsagePurpose::ClientAuth);
    let expected = format!("{:?}", Some(vec![alice.0.to_vec()]));
    for (identity, expected) in [(Some(alice), expected), (None, "None".to_owned())] {
        let mut stream = connect(&authority.client(identity, &[]), server.addr).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(&mut stream).await.ends_with(&expected));
    }
}

#[tokio::test]
async fn a_client_without_the_certificate_that_it_needs_is_told_so_and_not_served() {
    let authority = Authority::new();
    let stranger = Authority::new().issue("mallory", ExtendedKeyUsagePurpose::ClientAuth);
    let server = start!(server(authority.mutual(true)).await, service_fn(identity));
    for identity in [None, Some(stranger)] {
        // Over TLS 1.3 the client's side of the handshake is over before the server has looked at its certificate.
        let error = match connect(&authority.client(identity, &[]), server.addr).await {
            Ok(mut stream) => {
                let _ = stream.write_all(GET.as_bytes()).await;
                stream.read_to_end(&mut Vec::new()).await.unwrap_err()
            }
            Err(error) => error,
        };
        assert!(error.to_string().contains("fatal alert"), "{error}");
    }
    assert_eq!(server.stats.requests_total(), 0);
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn a_replaced_configuration_is_used_by_new_connections_and_old_ones_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = Tls::new(Arc::new(old.server()));
    let server = start!(server(tls.clone()).await, service_fn(hello));
    let mut before = connect(&old.client(None, &[]), server.addr).await.unwrap();
    tls.replace(Arc::new(new.server()));
    assert!(connect(&old.client(None, &[]), server.addr).await.is_err());
    let mut after = connect(&new.client(None, &[]), server.addr).await.unwrap();
    for stream in [&mut before, &mut after] {
        stream.write_all(CLOSE).await.unwrap();
        assert!(rest(stream).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn plain_http_on_a_port_for_tls_is_told_so() {
    let authority = Authority::new();
    let server = start!(server(authority.server()).await, service_fn(hello));
    for begun in [GET, "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begun).await;
        let answer = raw.rest().await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
        assert!(body.contains("speaks TLS"), "{answer}");
    }
    // Also one that sends far more than anybody reads.
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 16000000\r\n\r\n").await;
    raw.send(vec![b'x'; 16_000_000]).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn tls_on_a_plain_port_fails_at_once() {
    let authority = Authority::new();
    let server = start!(bind().await, service_fn(hello));
    let since = Instant::now();
    assert!(connect(&authority.client(None, &[]), server.addr).await.is_err());
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed_after_the_time_for_a_head() {
    let authority = Authority::new();
    let server = start!(server(authority.server()).await.head_timeout(SHORT), service_fn(hello));
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        is_closed_after(server.addr, begun, SHORT).await;
    }
    until(|| server.stats.connections_open() == 0).await;
    // Nor does one hold the stop up.
    let server = start!(self::server(authority.server()).await.head_timeout(HANGS), service_fn(hello));
    let _raw = Raw::connect(server.addr).await;
    until(|| server.stats.connections_open() == 1).await;
    let since = Instant::now();
    assert!(server.stop().await.is_clean());
    assert!(since.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_closed_at_once() {
    let authority = Authority::new();
    let server = start!(server(authority.server()).await, service_fn(hello));
    for begun in [&b"\0\0\0\0\0\0\0\0"[..], b"\x16\x03\x01\x00\x05hello", b"\xff\xff\xff\xff\xff\xff"] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begun).await;
        let mut sink = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), raw.0.read_to_end(&mut sink)).await.expect("stays open");
    }
}

#[tokio::test]
async fn every_end_by_the_server_is_announced() {
    let authority = Authority::new();
    let client = authority.client(None, &[]);
    // After an answer, as idle, with half a head, and at the stop.
    let impatient = server(authority.server()).await.idle_timeout(SHORT).head_timeout(SHORT);
    let server = start!(impatient, service_fn(hello));
    let mut stream = connect(&client, server.addr).await.unwrap();
    stream.write_all(CLOSE).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("hello"));
    let mut stream = connect(&client, server.addr).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("hello"));
    for half in ["", "GET / HT"] {
        let mut stream = connect(&client, server.addr).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
    }
    let server = start!(self::server(authority.server()).await, service_fn(hello));
    let mut stream = connect(&client, server.addr).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    response(&mut stream).await;
    let task = server.begin_stop();
    assert_eq!(rest(&mut stream).await, "");
    assert!(task.await.unwrap().is_clean());
}

#[tokio::test]
async fn a_client_that_sends_its_large_body_anyway_still_reads_the_413() {
    let authority = Authority::new();
    let server = start!(server(authority.server()).await.body_limit(10), service_fn(echo));
    let mut stream = connect(&authority.client(None, &[]), server.addr).await.unwrap();
    let length = 8 * 1024 * 1024;
    stream
        .write_all(format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let write = tokio::spawn(async move {
        let _ = write.write_all(&vec![b'x'; length]).await;
    });
    let mut answer = Vec::new();
    match tokio::time::timeout(HANGS, read.read_to_end(&mut answer)).await.expect("stays open") {
        Ok(_) => {}
        Err(error) => assert_ne!(error.kind(), ErrorKind::UnexpectedEof),
    }
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
    write.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_loses_no_request_that_was_sent_before_it() {
    let authority = Authority::new();
    let client = authority.client(None, &[]);
    for _ in 0..10 {
        let server = start!(server(authority.server()).await, service_fn(hello));
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut stream = connect(&client, server.addr).await.unwrap();
            // Answered once, so that the server's side of the handshake is surely over.
            stream.write_all(GET.as_bytes()).await.unwrap();
            response(&mut stream).await;
            clients.push(stream);
        }
        for stream in &mut clients {
            stream.write_all(GET.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
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
async fn an_upgraded_connection_works_and_is_cut_at_the_bound_of_the_stop() {
    let authority = Authority::new();
    let left = Arc::new(Notify::new());
    let gone = Arc::clone(&left);
    let server = start!(
        server(authority.server()).await.stop_within(SHORT),
        service_fn(move |mut request: Request<RequestBody>| {
            let gone = Arc::clone(&gone);
            async move {
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let stream = TokioIo::new(upgrade.await.unwrap());
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    gone.notify_one();
                });
                let response = http::Response::builder().status(101).header("connection", "upgrade");
                Ok::<_, Infallible>(response.header("upgrade", "test").body(crate::support::Body::default()).unwrap())
            }
        })
    );
    let mut stream = connect(&authority.client(None, &[]), server.addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut seen).await.unwrap();
    }
    stream.write_all(b"ping").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    assert_eq!(server.stop().await.cut_connections, 1);
    // Cut off, and seen as such.
    assert_eq!(stream.read_to_end(&mut seen).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    tokio::time::timeout(HANGS, left.notified()).await.expect("the service still waits for bytes");
}

#[cfg(unix)]
#[tokio::test]
async fn tls_is_spoken_over_a_unix_socket_too() {
    let authority = Authority::new();
    let folder = temp_dir().unwrap();
    let path = folder.path().join("kit.sock");
    let listener = Listener::unix(&path).await.unwrap().tls(authority.server());
    let _server = start!(Server::new(listener), service_fn(hello));
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let client = authority.client(None, &[]);
    let mut stream = client.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    stream.write_all(CLOSE).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"));
}

#[tokio::test]
async fn tls_begins_after_the_header_of_the_proxy_protocol() {
    let authority = Authority::new();
    let proxies = kit_serve::TrustedProxies::new(["127.0.0.1"]).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap().proxy_protocol(proxies).tls(authority.server());
    let server = start!(
        Server::new(listener),
        service_fn(|request: Request<RequestBody>| async move {
            Ok::<_, Infallible>(text(request.extensions().get::<Peer>().unwrap().addr.unwrap().to_string()))
        })
    );
    for flushed in [true, false] {
        // Unflushed, the header goes out in one piece with the beginning of the handshake.
        let mut stream = tokio::io::BufWriter::new(TcpStream::connect(server.addr).await.unwrap());
        stream.write_all(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n").await.unwrap();
        if flushed {
            stream.flush().await.unwrap();
        }
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = authority.client(None, &[]).connect(name, stream).await.unwrap();
        stream.write_all(CLOSE).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(HANGS, stream.read_to_string(&mut answer)).await.expect("stays open").unwrap();
        assert!(answer.ends_with("192.0.2.1:4711"), "{answer}");
    }
    // A proxy that forgets the header is not served.
    assert!(connect(&authority.client(None, &[]), server.addr).await.is_err());
}
