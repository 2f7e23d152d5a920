//! The client's address behind proxies: HTTP's headers, and the PROXY protocol.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Request, Response};
use kit_base::Peer;
use kit_serve::{ForwardedHeader, Listener, RequestBody, Server, TrustedProxies};
use tokio::io::AsyncReadExt;
use tower::service_fn;

use crate::support::{Body, GET, HANGS, Raw, bind, is_closed_after, start, text, until};

/// Answers with the address of the client.
async fn who(request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    let peer = request.extensions().get::<Peer>().unwrap();
    Ok(text(peer.addr.map_or("none".to_owned(), |addr| addr.to_string())))
}

fn trusted(networks: &[&str]) -> TrustedProxies {
    TrustedProxies::new(networks).unwrap()
}

/// What a service behind the server takes for the client of a request with these header lines; `own` if the address of
/// the connection.
async fn client(server: SocketAddr, headers: &str) -> String {
    let mut raw = Raw::connect(server).await;
    let own = raw.0.local_addr().unwrap().to_string();
    raw.send(format!("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n")).await;
    let answer = raw.rest().await;
    let (_, client) = answer.split_once("\r\n\r\n").unwrap();
    if client == own { "own".to_owned() } else { client.to_owned() }
}

#[tokio::test]
async fn the_client_is_the_first_hop_from_the_right_that_is_no_trusted_proxy() {
    let proxies = trusted(&["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]);
    let server = start!(bind().await.trusted_proxies(proxies, ForwardedHeader::XForwardedFor), service_fn(who));
    for (header, expected) in [
        ("", "own"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"),
        ("x-forwarded-for: 192.0.2.1:4711\r\n", "192.0.2.1:4711"),
        // What stands left of the client is the client's own invention.
        ("X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.1.1.1,10.2.2.2\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1, 10.1.1.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.1.1.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "[2001:db8::1]:0"),
        ("X-Forwarded-For: [2001:db8::1]\r\n", "[2001:db8::1]:0"),
        ("X-Forwarded-For: [2001:db8::1]:80, fd00::1\r\n", "[2001:db8::1]:80"),
        // All are proxies: the first of them.
        ("X-Forwarded-For: 10.9.9.9, 10.1.1.1\r\n", "10.9.9.9:0"),
        ("X-Forwarded-For: 192.0.2.1, ::ffff:10.1.1.1\r\n", "192.0.2.1:0"),
        // What cannot be read ends the way.
        ("X-Forwarded-For: 192.0.2.1, unknown\r\n", "own"),
        ("X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\r\n", "10.1.1.1:0"),
        ("X-Forwarded-For: 192.0.2.1, 1.2.3, 10.1.1.1\r\n", "10.1.1.1:0"),
        ("X-Forwarded-For: 192.0.2.1, \u{fc}\r\n", "own"),
        ("X-Forwarded-For: 192.0.2.1, ,\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: \r\n", "own"),
        // The other header is passed on as clients send it.
        ("Forwarded: for=192.0.2.1\r\n", "own"),
    ] {
        assert_eq!(client(server.addr, header).await, expected, "{header:?}");
    }
}

#[tokio::test]
async fn forwarded_is_read_as_rfc_7239_has_it() {
    let proxies = trusted(&["127.0.0.1", "10.0.0.0/8"]);
    let server = start!(bind().await.trusted_proxies(proxies, ForwardedHeader::Forwarded), service_fn(who));
    for (header, expected) in [
        ("Forwarded: for=192.0.2.1\r\n", "192.0.2.1:0"),
        ("Forwarded: For=\"192.0.2.1:4711\";proto=https;by=10.1.1.1\r\n", "192.0.2.1:4711"),
        ("forwarded: proto=https ; for=\"[2001:db8::1]:80\"\r\n", "[2001:db8::1]:80"),
        ("Forwarded: for=\"[2001:db8::1]\"\r\n", "[2001:db8::1]:0"),
        ("Forwarded: for=\"192.0.2.1:_obfuscated\"\r\n", "192.0.2.1:0"),
        ("Forwarded: for=203.0.113.9, for=192.0.2.1;by=x, for=10.1.1.1\r\n", "192.0.2.1:0"),
        ("Forwarded: for=192.0.2.1\r\nForwarded: for=10.1.1.1;host=\"a,b;for=1.1.1.1\"\r\n", "192.0.2.1:0"),
        // A client cannot swallow what the proxy appends.
        ("Forwarded: for=\"203.0.113.9, for=192.0.2.1\r\n", "192.0.2.1:0"),
        ("Forwarded: for=\"203.0.113.9, for=\"[2001:db8::1]:80\"\r\n", "[2001:db8::1]:80"),
        ("Forwarded: for=192.0.2.1, for=unknown\r\n", "own"),
        ("Forwarded: for=192.0.2.1, for=_hidden, for=10.1.1.1\r\n", "10.1.1.1:0"),
        ("Forwarded: for=192.0.2.1, proto=https\r\n", "own"),
        ("Forwarded: for=192.0.2.1;for=192.0.2.2\r\n", "own"),
        ("Forwarded: nonsense\r\n", "own"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "own"),
    ] {
        assert_eq!(client(server.addr, header).await, expected, "{header:?}");
    }
}

#[tokio::test]
async fn from_everybody_else_the_header_is_ignored() {
    let server = bind().await.trusted_proxies(trusted(&["10.0.0.0/8"]), ForwardedHeader::XForwardedFor);
    let server = start!(server, service_fn(who));
    assert_eq!(client(server.addr, "X-Forwarded-For: 192.0.2.1\r\n").await, "own");
    let server = start!(bind().await, service_fn(who));
    assert_eq!(client(server.addr, "X-Forwarded-For: 192.0.2.1\r\n").await, "own");
}

#[tokio::test]
async fn each_request_on_a_connection_has_its_own_client() {
    let server = bind().await.trusted_proxies(trusted(&["127.0.0.1"]), ForwardedHeader::XForwardedFor);
    let server = start!(server, service_fn(who));
    let mut raw = Raw::connect(server.addr).await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        raw.send(format!("GET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: {client}\r\n\r\n")).await;
        assert!(raw.response().await.ends_with(&format!("\r\n\r\n{client}:0")));
    }
}

#[test]
fn what_is_no_network_is_shown() {
    for bad in ["10.0.0.0/33", "10.0.0", "example.com", ""] {
        let error = TrustedProxies::new(["127.0.0.1", bad]).unwrap_err();
        assert_eq!(error.text(), bad);
        assert!(error.to_string().contains(bad));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_proxy_over_a_unix_socket_is_trusted_only_if_asked_for() {
    use tokio::io::AsyncWriteExt;
    for (proxies, expected) in [(trusted(&[]), "none"), (trusted(&[]).and_unix(), "192.0.2.1:0")] {
        let folder = kit_testing::temp::temp_dir().unwrap();
        let path = folder.path().join("kit.sock");
        let server = Server::new(Listener::unix(&path).await.unwrap());
        let _server = start!(server.trusted_proxies(proxies, ForwardedHeader::XForwardedFor), service_fn(who));
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\nx-forwarded-for: 192.0.2.1\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(expected), "{answer}");
    }
}

/// A server that expects the PROXY protocol from these.
async fn proxied(networks: &[&str]) -> Server {
    Server::new(Listener::bind("127.0.0.1:0").await.unwrap().proxy_protocol(trusted(networks)))
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x67\x01\xbb";
const V2_IPV6: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x67\x01\xbb";
/// With three bytes of additional data.
const V2_TLV: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x67\x01\xbb\x04\x00\x00";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_in_both_versions() {
    let server = start!(proxied(&["127.0.0.1"]).await, service_fn(who));
    for (header, expected) in [
        (V1, Some("192.0.2.1:4711")),
        (V1_IPV6, Some("[2001:db8::1]:4711")),
        (V2, Some("192.0.2.1:4711")),
        (V2_IPV6, Some("[2001:db8::1]:4711")),
        (V2_TLV, Some("192.0.2.1:4711")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (V2_LOCAL, None),
    ] {
        // In one piece with the request, and byte by byte.
        for piece in [usize::MAX, 1] {
            let mut raw = Raw::connect(server.addr).await;
            let own = raw.0.local_addr().unwrap().to_string();
            let all = [header, GET.as_bytes()].concat();
            for bytes in all.chunks(piece.min(all.len())) {
                raw.send(bytes).await;
                tokio::task::yield_now().await;
            }
            let answer = raw.response().await;
            assert!(answer.ends_with(expected.unwrap_or(&own)), "{header:?}: {answer}");
            // And for each request that follows.
            raw.send(GET).await;
            assert!(raw.response().await.ends_with(expected.unwrap_or(&own)));
        }
    }
}

#[tokio::test]
async fn nobody_else_can_claim_an_address() {
    let server = start!(proxied(&["10.0.0.0/8"]).await, service_fn(who));
    for header in [V1, V2] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send([header, GET.as_bytes()].concat()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(HANGS, raw.0.read_to_end(&mut answer)).await.expect("stays open");
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(client(server.addr, "").await, "own");
}

#[tokio::test]
async fn from_a_proxy_a_missing_or_malformed_header_closes_the_connection() {
    let server = start!(proxied(&["127.0.0.1"]).await, service_fn(who));
    let mut too_long = b"PROXY TCP4 ".to_vec();
    too_long.extend([b'1'; 97]);
    let mut too_large = V2.to_vec();
    too_large[14] = 0xff;
    for header in [
        GET.as_bytes(),
        b"PROX\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\rX",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x67\x01\xbb",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x02\xc0\x00",
        b"\r\n\r\n\0\r\nQUITX",
        &too_long,
        &too_large,
    ] {
        let since = Instant::now();
        let mut raw = Raw::connect(server.addr).await;
        raw.send(header).await;
        let mut sink = Vec::new();
        let _ = tokio::time::timeout(HANGS, raw.0.read_to_end(&mut sink)).await.expect("stays open");
        assert_eq!(sink, b"", "{header:?}");
        assert!(since.elapsed() < Duration::from_secs(5), "{header:?}");
    }
    assert_eq!(server.stats.requests_total(), 0);
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn a_header_that_never_ends_is_closed_after_the_time_for_a_head() {
    const SHORT: Duration = Duration::from_millis(200);
    let server = start!(proxied(&["127.0.0.1"]).await.head_timeout(SHORT), service_fn(who));
    for begun in [&b""[..], b"PROXY", &V1[..20], &V2[..3], &V2[..20]] {
        is_closed_after(server.addr, begun, SHORT).await;
    }
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn the_client_of_the_proxy_protocol_may_be_a_proxy_of_http() {
    let server = proxied(&["127.0.0.1"]).await;
    let server =
        start!(server.trusted_proxies(trusted(&["192.0.2.0/24"]), ForwardedHeader::XForwardedFor), service_fn(who));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(V1).await;
    raw.send("GET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 203.0.113.9\r\n\r\n").await;
    assert!(raw.response().await.ends_with("203.0.113.9:0"));
}
