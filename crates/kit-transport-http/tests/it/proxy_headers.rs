//! The reverse proxy: headers of one connection, the host, and what the backend is told about the client.

use std::net::SocketAddr;

use http::uri::Scheme;
use http::{HeaderMap, Request};
use http_body_util::Full;
use kit_base::{Endpoint, Peer};
use kit_testing::backend::{Backend, Reply};
use kit_testing::http::{curl, raw, raw_response};
use kit_testing::tools::skip_unless;
use kit_transport_http::ReverseProxy;

use crate::proxy::through;
use crate::proxy_support::{data, proxied, sent, up};
use crate::support::get;

/// The headers that the backend gets of a request that comes as this text.
async fn sent_on(lines: &str) -> HeaderMap {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let request = format!("GET / HTTP/1.1\r\nhost: a.example:81\r\n{lines}\r\n");
    assert_eq!(raw_response(front.addr, request).await.unwrap().status(), 200);
    origin.requests()[0].headers().clone()
}

#[tokio::test]
async fn headers_of_one_connection_do_not_reach_the_backend() {
    let headers = sent_on(
        "connection: close, X-Foo , ,x-bar\r\nConnection: keep-alive, x-baz, host, te\r\nkeep-alive: timeout=5\r\n\
         proxy-connection: keep-alive\r\nproxy-authorization: Basic x\r\nproxy-authenticate: Basic\r\nupgrade: websocket\r\n\
         te: gzip, Trailers;q=1\r\nx-foo: 1\r\nx-bar: 1\r\nX-BAZ: 1\r\nx-foo: 2\r\nx-kept: 1\r\nauthorization: Bearer t\r\n",
    )
    .await;
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let stay = ["authorization", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-kept"];
    assert_eq!(names, stay);
}

#[tokio::test]
async fn te_says_trailers_or_nothing_and_trailer_stays() {
    let headers = sent_on("te: gzip;q=0.5\r\nte: Trailers\r\nconnection: te\r\ntrailer: x-sum\r\n").await;
    assert_eq!(headers.get_all("te").iter().collect::<Vec<_>>(), ["trailers"]);
    assert_eq!(headers["trailer"], "x-sum");
}

#[tokio::test]
async fn headers_of_one_connection_do_not_reach_the_client() {
    let reply = Reply::ok()
        .header("connection", "x-foo, close")
        .header("keep-alive", "timeout=5")
        .header("proxy-authenticate", "Basic")
        .header("upgrade", "h2c")
        .header("x-foo", "1")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body("hello");
    let origin = Backend::start(reply).await.unwrap();
    let answer = through(&ReverseProxy::new(origin.url()).unwrap(), get("/")).await;
    let names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["set-cookie", "content-length"]);
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_passed_on() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    raw(front.addr, request).await.unwrap();
    let asked = &origin.received(1).await[0];
    assert_eq!((asked.headers().get("content-length"), &asked.body()[..]), (None, &b"hello"[..]));
    // Nor where another server than hyper has left it there.
    let (sender, body) = sent();
    let sending = async move { sender.send(data("hello")).await.unwrap() };
    let mut request = Request::post("/").body(body).unwrap();
    request.headers_mut().insert("content-length", "3".parse().unwrap());
    request.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    let (Ok(answer), ()) = tokio::join!(proxy.call(request), sending);
    assert_eq!(answer.status(), 200);
    let asked = &origin.received(2).await[1];
    assert_eq!((asked.headers().get("content-length"), &asked.body()[..]), (None, &b"hello"[..]));
}

#[tokio::test]
async fn cookies_that_http_2_has_split_are_put_together() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let mut request = get("/");
    request.headers_mut().append("cookie", "a=1".parse().unwrap());
    request.headers_mut().append("cookie", "b=2; c=3".parse().unwrap());
    through(&ReverseProxy::new(origin.url()).unwrap(), request).await;
    let asked = &origin.requests()[0];
    assert_eq!(asked.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
}

#[tokio::test]
async fn the_host_is_the_clients_or_by_choice_the_backends() {
    assert_eq!(sent_on("").await["host"], "a.example:81");
    // The target of an absolute form counts, not what stands beside it. Source: RFC 9112, section 3.2.2.
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let absolute = "GET http://me:secret@real.example/ HTTP/1.1\r\nhost: lie.example\r\nhost: another\r\n\r\n";
    raw(front.addr, absolute).await.unwrap();
    // A client of HTTP/1.0 need not say any.
    raw(front.addr, "GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let other = proxied(ReverseProxy::new(origin.url()).unwrap().backend_host()).await;
    raw(other.addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let hosts: Vec<_> = origin.requests().iter().map(|request| request.headers()["host"].clone()).collect();
    let backend = origin.addr().to_string();
    assert_eq!(hosts, ["real.example", &*backend, &*backend]);
    let told: Vec<_> =
        origin.requests().iter().map(|request| request.headers().get("x-forwarded-host").cloned()).collect();
    assert_eq!(told, [Some("real.example".parse().unwrap()), None, Some("a".parse().unwrap())]);
}

#[tokio::test]
async fn over_http_2_the_host_is_its_authority() {
    if !skip_unless("curl") {
        return;
    }
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let url = format!("{}/dir?x", front.url());
    let answer = curl(["--http2-prior-knowledge", "-b", "a=1; b=2", "-A", "me", &url]).await.unwrap();
    assert_eq!(answer.status(), 200);
    let asked = &origin.requests()[0];
    assert_eq!(asked.headers()["host"], front.addr.to_string());
    assert_eq!(
        (asked.uri().to_string(), &asked.headers()["user-agent"]),
        ("/dir?x".to_owned(), &"me".parse().unwrap())
    );
}

/// What the backend is told of a client at this address.
async fn told(
    proxy: impl FnOnce(ReverseProxy) -> ReverseProxy,
    peer: Option<&str>,
    arrived: &[(&str, &str)],
) -> HeaderMap {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let mut request: Request<Full<_>> = get("/");
    for (name, value) in arrived {
        request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(Peer::from(peer.parse::<SocketAddr>().unwrap()));
    }
    request.headers_mut().insert("host", "a.example:81".parse().unwrap());
    through(&proxy(ReverseProxy::new(origin.url()).unwrap()), request).await;
    origin.requests()[0].headers().clone()
}

fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn the_clients_address_is_appended_and_the_first_word_on_host_and_scheme_stands() {
    let plain = told(|proxy| proxy, Some("192.0.2.7:99"), &[]).await;
    assert_eq!(lines(&plain, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(lines(&plain, "x-forwarded-host"), ["a.example:81"]);
    assert_eq!(lines(&plain, "x-forwarded-proto"), ["http"]);
    assert!(!plain.contains_key("forwarded") && !plain.contains_key("via"));
    let arrived = [
        ("x-forwarded-for", "203.0.113.1, 198.51.100.2"),
        ("x-forwarded-for", "198.51.100.3"),
        ("x-forwarded-host", "first.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.1"),
    ];
    let behind = told(|proxy| proxy, Some("[::ffff:192.0.2.7]:99"), &arrived).await;
    assert_eq!(lines(&behind, "x-forwarded-for"), ["203.0.113.1, 198.51.100.2, 198.51.100.3, 192.0.2.7"]);
    assert_eq!(lines(&behind, "x-forwarded-host"), ["first.example"]);
    assert_eq!(lines(&behind, "x-forwarded-proto"), ["https"]);
    assert_eq!(lines(&behind, "forwarded"), ["for=203.0.113.1"]);
    assert!(!told(|proxy| proxy, None, &[]).await.contains_key("x-forwarded-for"), "nobody knows");
}

#[tokio::test]
async fn the_standard_header_is_written_on_demand_and_quoted() {
    let v4 = told(ReverseProxy::forwarded, Some("192.0.2.7:99"), &[]).await;
    assert_eq!(lines(&v4, "forwarded"), [r#"for=192.0.2.7;host="a.example:81";proto=http"#]);
    let arrived = [("forwarded", "for=203.0.113.1"), ("forwarded", "for=unknown")];
    let v6 = told(ReverseProxy::forwarded, Some("[2001:db8::1]:99"), &arrived).await;
    let appended = r#"for=203.0.113.1, for=unknown, for="[2001:db8::1]";host="a.example:81";proto=http"#;
    assert_eq!(lines(&v6, "forwarded"), [appended]);
    assert_eq!(lines(&v6, "x-forwarded-for"), ["2001:db8::1"]);
    let nobody = told(|proxy| proxy.forwarded().https(), None, &[]).await;
    assert_eq!(lines(&nobody, "forwarded"), [r#"for=unknown;host="a.example:81";proto=https"#]);
}

#[tokio::test]
async fn a_quote_that_was_left_open_does_not_hide_the_element_of_this_proxy() {
    let own = r#"for=192.0.2.7;host="a.example:81";proto=http"#;
    for open in [r#"for="1.2.3.4"#, r#"for="1.2.3.4\""#, r#"for=1.2.3.4;by="a\\\""#] {
        let told = told(ReverseProxy::forwarded, Some("192.0.2.7:99"), &[("forwarded", open)]).await;
        assert_eq!(lines(&told, "forwarded"), [own], "{open}");
    }
    // What is whole stays.
    let whole = r#"for="[2001:db8::1]";by="a\"b\\""#;
    let kept = told(ReverseProxy::forwarded, Some("192.0.2.7:99"), &[("forwarded", whole)]).await;
    assert_eq!(lines(&kept, "forwarded"), [format!("{whole}, {own}")]);
}

#[tokio::test]
async fn at_the_edge_what_an_untrusted_client_says_is_dropped() {
    let arrived = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "lie"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
    ];
    let edge = |proxy: ReverseProxy| proxy.replace_forwarded();
    let headers = told(edge, Some("192.0.2.7:99"), &arrived).await;
    assert_eq!(lines(&headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(lines(&headers, "x-forwarded-host"), ["a.example:81"]);
    assert_eq!(lines(&headers, "x-forwarded-proto"), ["http"]);
    let gone = ["x-forwarded-port", "x-real-ip", "forwarded"];
    assert!(gone.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
    // What the connection is said to name cannot take away what the proxy says.
    let named = told(edge, Some("192.0.2.7:99"), &[("connection", "x-forwarded-for, x-forwarded-proto")]).await;
    assert_eq!(lines(&named, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(lines(&named, "x-forwarded-proto"), ["http"]);
}

#[tokio::test]
async fn the_scheme_is_known_by_whoever_serves() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    let mut request = get("/");
    request.extensions_mut().insert(Scheme::HTTPS);
    through(&proxy, request).await;
    let mut request = get("/");
    let mut peer = Peer::from("192.0.2.7:99".parse::<SocketAddr>().unwrap());
    peer.tls = Some(std::sync::Arc::default());
    request.extensions_mut().insert(peer);
    through(&proxy, request).await;
    through(&proxy.https(), get("/")).await;
    assert!(origin.requests().iter().all(|request| request.headers()["x-forwarded-proto"] == "https"));
}

#[tokio::test]
async fn via_is_appended_with_the_version_that_the_client_spoke() {
    let via = |proxy: ReverseProxy| proxy.via("edge-1").unwrap();
    assert_eq!(lines(&told(via, None, &[]).await, "via"), ["1.1 edge-1"]);
    assert_eq!(lines(&told(via, None, &[("via", "2 cdn")]).await, "via"), ["2 cdn, 1.1 edge-1"]);
    let error = ReverseProxy::new("http://a").unwrap().via("two words").unwrap_err();
    assert!(error.to_string().contains("two words"));
}

#[tokio::test]
async fn an_answer_to_head_has_its_headers_and_none_of_its_body() {
    let origin = up(|request| async move {
        assert_eq!(request.method(), http::Method::HEAD);
        http::Response::builder().header("content-length", "12").body(Full::new("hello, world".into())).unwrap()
    })
    .await;
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let mut peer = kit_testing::http::Peer::connect(front.addr).await.unwrap();
    for _ in 0..2 {
        peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = peer.head_response().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-length"]), (200, &"12".parse().unwrap()));
    }
    // The proxy's own answers, too.
    let front = proxied(ReverseProxy::new("http://127.0.0.1:1").unwrap()).await;
    let mut peer = kit_testing::http::Peer::connect(front.addr).await.unwrap();
    peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(peer.head_response().await.unwrap().status(), 502);
    peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(peer.head_response().await.unwrap().status(), 502);
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let origin = Backend::start([Reply::status(204), Reply::status(304).header("content-length", "99")]).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let mut peer = kit_testing::http::Peer::connect(front.addr).await.unwrap();
    for status in [204, 304] {
        peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = peer.response().await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(!answer.headers().contains_key("transfer-encoding"));
    }
}

#[tokio::test]
async fn expect_reaches_the_backend_and_its_body_follows() {
    if !skip_unless("curl") {
        return;
    }
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let answer = curl(["-H", "expect: 100-continue", "--expect100-timeout", "20", "-d", "hello", &front.url()]).await;
    assert_eq!(answer.unwrap().status(), 200);
    let asked = &origin.requests()[0];
    assert_eq!((&asked.headers()["expect"], &asked.body()[..]), (&"100-continue".parse().unwrap(), &b"hello"[..]));
}
