//! The reverse proxy: what Go kit's does, targets, and hooks.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use kit_base::{Context, Endpoint, Operation, Peer};
use kit_testing::backend::{Backend, Reply};
use kit_testing::http::{raw, raw_response};
use kit_transport_http::{ProxyBody, ReverseProxy};

use crate::proxy_support::{data, proxied, sent};
use crate::support::{Notes, get, post, sum};

/// Calls a proxy in process and reads the answer.
pub(crate) async fn through<E>(proxy: &E, request: Request<Full<Bytes>>) -> http::Response<Bytes>
where
    E: Endpoint<Request<Full<Bytes>>, Response = http::Response<ProxyBody>, Error = std::convert::Infallible>,
{
    let Ok(answer) = proxy.call(request).await;
    let (head, body) = answer.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn rp_1_the_body_of_the_origin_is_passed_on() {
    let origin = Backend::start(Reply::ok().body("hey")).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let answer = raw_response(front.addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"hey"[..]));
}

#[tokio::test]
async fn rp_2_a_before_hook_adds_a_header() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap().before(|_, head| {
        head.headers.insert("x-test", "added".parse().unwrap());
    });
    through(&proxy, get("/")).await;
    assert_eq!(origin.requests()[0].headers()["x-test"], "added");
}

#[tokio::test]
async fn rp_3_a_404_of_the_origin_passes_through() {
    let origin = Backend::start(Reply::status(404).header("x-of", "origin").body("no such thing")).await.unwrap();
    let answer = through(&ReverseProxy::new(origin.url()).unwrap(), get("/")).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (404, &b"no such thing"[..]));
    assert_eq!(answer.headers()["x-of"], "origin");
}

#[tokio::test]
async fn rp_4_an_origin_that_cannot_be_reached_is_502() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let url = origin.url();
    origin.stop().await;
    let answer = through(&ReverseProxy::new(url).unwrap(), get("/")).await;
    assert_eq!(answer.status(), 502);
    let problem = crate::support::problem(&answer, 502);
    assert_eq!((&problem["kind"], &problem["reason"]), (&"UNAVAILABLE".into(), &"BAD_GATEWAY".into()));
}

#[tokio::test]
async fn rp_5_several_before_hooks_run_in_order_and_share_the_context() {
    #[derive(Clone)]
    struct First(&'static str);
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url())
        .unwrap()
        .before(|context, _| *context = std::mem::take(context).with_extension(First("one")))
        .before(|context, head| {
            let first = context.extensions().get::<First>().unwrap().0;
            head.headers.insert("x-test", format!("{first}, two").parse().unwrap());
        });
    through(&proxy, get("/")).await;
    assert_eq!(origin.requests()[0].headers()["x-test"], "one, two");
}

#[tokio::test]
async fn paths_and_queries_are_joined_in_the_bytes_in_which_they_came() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    for (base, target, joined) in [
        ("", "/", "/"),
        ("", "/dir?a=1", "/dir?a=1"),
        ("/", "/dir", "/dir"),
        ("/base", "/dir", "/base/dir"),
        ("/base/", "/dir/", "/base/dir/"),
        ("/base", "/", "/base/"),
        ("/base", "//dir", "/base//dir"),
        ("/base?x=1", "/dir", "/base/dir?x=1"),
        ("/base?x=1", "/dir?", "/base/dir?x=1"),
        ("/base?x=1", "/dir?a=%20&b='+{}", "/base/dir?x=1&a=%20&b='+{}"),
        ("?x=1", "/dir?a=1", "/dir?x=1&a=1"),
        ("/base", "/dir?", "/base/dir?"),
        ("", "/a%2Fb%2e%2E/%zz/../../c/./d\\e|f", "/a%2Fb%2e%2E/%zz/../../c/./d\\e|f"),
        ("/base", "/../up;v=1,2", "/base/../up;v=1,2"),
        ("/base", "http://elsewhere:99/dir?a", "/base/dir?a"),
        ("", "http://elsewhere", "/"),
    ] {
        let proxy = ReverseProxy::new(format!("{}{base}", origin.url())).unwrap();
        let front = proxied(proxy).await;
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(raw_response(front.addr, request).await.unwrap().status(), 200, "{base} {target}");
        let asked = origin.requests().pop().unwrap();
        assert_eq!(asked.uri().to_string(), joined, "{base} and {target}");
    }
}

#[tokio::test]
async fn connect_and_the_asterisk_are_refused_and_not_passed_on() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    for line in ["CONNECT elsewhere:443", "OPTIONS *"] {
        let answer = raw_response(front.addr, format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
        assert_eq!(answer.status(), 501, "{line}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn a_target_too_long_for_the_base_is_414() {
    let proxy = ReverseProxy::new(format!("http://127.0.0.1:1/{}", "b".repeat(200))).unwrap();
    let answer = through(&proxy, get(&format!("/{}", "t".repeat(65_400)))).await;
    assert_eq!(crate::support::problem(&answer, 414)["reason"], "URI_TOO_LONG");
}

#[test]
fn a_base_that_is_none_is_refused_with_the_reason_and_without_its_password() {
    for (base, says) in [
        ("backend:8081", "http://host:port"),
        ("ftp://backend", "http://host:port"),
        ("/base", "http://host:port"),
        ("http://", "http://host:port"),
        ("http://backend/#part", "no fragment"),
        ("http://me:secret@backend", "must not hold a user"),
        ("https://backend", "with_client"),
    ] {
        let error = ReverseProxy::new(base).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{base}: {error}");
    }
    assert!(ReverseProxy::with_client("https://backend", reqwest::Client::new()).is_ok());
}

#[tokio::test]
async fn hooks_and_finalizers_see_what_the_before_hook_left() {
    #[derive(Clone)]
    struct Tenant(String);
    let origin = Backend::start(Reply::ok().body("hello")).await.unwrap();
    let (notes, finished) = (Notes::default(), Notes::default());
    let (seen, done) = (notes.clone(), finished.clone());
    let proxy = ReverseProxy::new(origin.url())
        .unwrap()
        .before(|context, head| {
            let tenant = context.inbound()["x-tenant"].to_str().unwrap().to_owned();
            context.extensions_mut().insert(Tenant(tenant));
            head.headers.remove("x-tenant");
        })
        .after(move |context, head| {
            seen.add(format!("{} {}", context.extensions().get::<Tenant>().unwrap().0, head.status));
            head.headers.insert("x-after", "yes".parse().unwrap());
        })
        .finalizer(move |finished| {
            let Tenant(tenant) = finished.context.extensions().get().unwrap();
            let (status, bytes, left) = (finished.status.unwrap(), finished.bytes, finished.left);
            let (target, operation) = (&finished.info.uri, finished.context.operation());
            done.add(format!("{tenant} {operation} {target} {status} {bytes} {left} {}", finished.error.is_none()));
        });
    let mut request = get("/dir");
    request.headers_mut().insert("x-tenant", "blue".parse().unwrap());
    request.extensions_mut().insert(Operation::new("front", "dir"));
    let Ok(answer) = proxy.call(request).await;
    assert_eq!(answer.headers()["x-after"], "yes");
    assert_eq!(notes.all(), ["blue 200 OK"]);
    assert!(finished.all().is_empty(), "the body is still to come");
    answer.into_body().collect().await.unwrap();
    assert_eq!(finished.all(), ["blue front/dir /dir 200 OK 5 false true"]);
    assert!(!origin.requests()[0].headers().contains_key("x-tenant"));
}

#[tokio::test]
async fn the_finalizer_runs_once_whatever_the_end() {
    let origin = Backend::start([
        Reply::status(204),
        Reply::ok().body("0123456789").truncate(4),
        Reply::ok().body("0123456789").stall(4),
        Reply::hang(),
        Reply::close(),
    ])
    .await
    .unwrap();
    let notes = Notes::default();
    let seen = notes.clone();
    let proxy = ReverseProxy::new(origin.url()).unwrap().finalizer(move |finished| {
        let error = finished.error.map(|error| error.message().to_owned());
        seen.add(format!("{:?} {} {} {error:?}", finished.status.map(|s| s.as_u16()), finished.bytes, finished.left));
    });
    // No body; one that breaks off; one that the client leaves; no head, and the client leaves; no answer.
    let Ok(answer) = proxy.call(get("/")).await;
    assert_eq!(notes.all(), ["Some(204) 0 false None"]);
    drop(answer);
    let Ok(answer) = proxy.call(get("/")).await;
    answer.into_body().collect().await.unwrap_err();
    assert_eq!(notes.until(2).await[1], r#"Some(200) 4 false Some("the backend's answer broke off")"#);
    let Ok(answer) = proxy.call(get("/")).await;
    let mut body = answer.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "0123");
    drop(body);
    assert_eq!(notes.until(3).await[2], "Some(200) 4 true None");
    let call = proxy.call(get("/"));
    tokio::select! {
        _ = call => panic!("there is no answer"),
        _ = origin.received(4) => {}
    }
    assert_eq!(notes.until(4).await[3], "None 0 true None");
    let answer = through(&proxy, get("/")).await;
    let length = answer.body().len();
    assert_eq!(notes.until(5).await[4], format!(r#"Some(502) {length} false Some("the backend did not answer")"#));
    assert_eq!(notes.all().len(), 5);
}

#[tokio::test]
async fn a_panic_in_a_hook_is_500_and_finalized() {
    let notes = Notes::default();
    let seen = notes.clone();
    let proxy = ReverseProxy::new("http://127.0.0.1:1")
        .unwrap()
        .before(|_, _| panic!("the secret"))
        .finalizer(move |finished| seen.add(finished.error.unwrap().reason().unwrap()));
    let answer = through(&proxy, get("/")).await;
    assert_eq!(crate::support::problem(&answer, 500)["detail"], "internal error");
    assert_eq!(notes.all(), ["PANIC"]);
}

#[tokio::test]
async fn a_service_of_this_crate_stands_behind_it_and_before_it() {
    let backend = crate::support::up(sum()).await;
    let proxy = ReverseProxy::new(backend.url()).unwrap().build();
    // The same proxy under axum, and in process.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().nest_service("/v1", proxy);
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    let client = kit_transport_http::HttpClient::new(format!("{url}/v1")).unwrap();
    let call = client.endpoint::<crate::support::Sum, crate::support::Value>(crate::support::op("sum"));
    let reply = call.call(kit_base::Request::new(crate::support::Sum { a: 1, b: 2 })).await.unwrap();
    assert_eq!(reply.message().v, 3);
    served.abort();
}

#[tokio::test]
async fn layers_within_see_operation_and_peer_and_clients_of_others_fit() {
    let origin = Backend::start(Reply::json("{}")).await.unwrap();
    let notes = Notes::default();
    let seen = notes.clone();
    let look = move |request: &Request<ProxyBody>| {
        let peer = request.extensions().get::<Peer>().unwrap().addr.unwrap();
        let operation = request.extensions().get::<Operation>().unwrap().clone();
        seen.add(format!("{operation} {peer}"));
        operation
    };
    let gate = kit_base::Guard::new(kit_base::NameOperation(look));
    let by_hyper = kit_base::FromService::new(
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http::<ProxyBody>(),
    );
    let by_reqwest = kit_base::FromHttpService::<_, reqwest::Request, reqwest::Body>::new(reqwest::Client::new());
    let mut request = get("/");
    request.extensions_mut().insert(Operation::new("front", "dir"));
    request.extensions_mut().insert(Peer::from("192.0.2.7:99".parse::<std::net::SocketAddr>().unwrap()));
    use tower::Layer;
    let one = ReverseProxy::with_endpoint(origin.url(), gate.layer(by_hyper)).unwrap();
    assert_eq!(through(&one, request.clone()).await.body(), "{}");
    let two = ReverseProxy::with_endpoint(origin.url(), gate.layer(by_reqwest)).unwrap();
    assert_eq!(through(&two, request.clone()).await.body(), "{}");
    let three = ReverseProxy::with_client(origin.url(), reqwest::Client::new()).unwrap();
    assert_eq!(through(&three, request).await.body(), "{}");
    assert_eq!(notes.all(), ["front/dir 192.0.2.7:99"; 2]);
}

#[tokio::test]
async fn a_client_whose_urls_would_change_a_path_is_not_given_it() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::with_client(format!("{}/base", origin.url()), reqwest::Client::new()).unwrap();
    for target in ["/../admin", "/a/%2e%2E/b", "/a/.", "/a\\b"] {
        let mut request = get("/");
        *request.uri_mut() = target.parse().unwrap();
        let answer = through(&proxy, request).await;
        assert_eq!(crate::support::problem(&answer, 400)["reason"], "MALFORMED_REQUEST", "{target}");
    }
    assert!(origin.requests().is_empty());
    for target in ["/a..b/...", "/%2F.%41", "/a?x=../.."] {
        assert_eq!(through(&proxy, get(target)).await.status(), 200);
        assert_eq!(origin.requests().pop().unwrap().uri().to_string(), format!("/base{target}"));
    }
}

#[tokio::test]
async fn nothing_is_added_for_the_backend_but_what_the_client_is() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    raw(front.addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut names: Vec<_> = origin.requests()[0].headers().keys().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
}

#[tokio::test]
async fn a_whole_body_keeps_its_length_and_a_streamed_one_its_chunks() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    through(&proxy, post("/", "abc")).await;
    let (sender, body) = sent();
    tokio::spawn(async move { sender.send(data("abc")).await });
    let Ok(answer) = proxy.call(Request::post("/").body(body).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let requests = origin.requests();
    let framing = |index: usize| {
        let headers = requests[index].headers();
        (headers.get("content-length").cloned(), headers.get("transfer-encoding").cloned())
    };
    assert_eq!(framing(0), (Some("3".parse().unwrap()), None));
    assert_eq!(framing(1), (None, Some("chunked".parse().unwrap())));
    assert!(requests.iter().all(|request| request.body() == "abc"));
    // A length that is a lie is not passed on.
    let mut lie = post("/", "abc");
    lie.headers_mut().insert("content-length", "2".parse().unwrap());
    through(&proxy, lie).await;
    assert_eq!(origin.requests()[2].headers()["content-length"], "3");
}

#[tokio::test]
async fn a_before_hook_can_send_elsewhere_and_shorten_the_deadline() {
    let origin = Backend::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap().before(|context: &mut Context, head| {
        let soon = kit_base::Deadline::after(std::time::Instant::now(), std::time::Duration::from_secs(5));
        *context = std::mem::take(context).with_deadline(soon);
        head.uri = head.uri.to_string().replace("/old", "/new").parse().unwrap();
    });
    through(&proxy, get("/old")).await;
    let asked = &origin.requests()[0];
    assert_eq!(asked.uri(), "/new");
    assert!(asked.headers()["grpc-timeout"].to_str().unwrap().starts_with("49"));
}

#[tokio::test]
async fn the_end_is_known_by_the_trailers_and_a_reader_need_not_ask_once_more() {
    struct Streams(std::sync::Mutex<Option<crate::proxy_support::Sent>>);
    impl Endpoint<Request<ProxyBody>> for Streams {
        type Response = http::Response<crate::proxy_support::Sent>;
        type Error = kit_base::Error;
        async fn call(&self, _: Request<ProxyBody>) -> Result<Self::Response, kit_base::Error> {
            Ok(http::Response::new(self.0.lock().unwrap().take().unwrap()))
        }
    }
    let (sender, body) = sent();
    let notes = Notes::default();
    let seen = notes.clone();
    let proxy = ReverseProxy::with_endpoint("http://a", Streams(std::sync::Mutex::new(Some(body))))
        .unwrap()
        .finalizer(move |finished| seen.add(format!("{} {}", finished.bytes, finished.left)));
    let Ok(answer) = proxy.call(get("/")).await;
    let mut body = answer.into_body();
    sender.send(data("hello")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    assert!(notes.all().is_empty());
    sender.send(crate::proxy_support::trailers("x-sum", "1")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(notes.all(), ["5 false"]);
    drop(body);
    assert_eq!(notes.all().len(), 1);
}
