//! The id of a request: which one it is, who sees it, and that it comes back and goes on.

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body_util::Full;
use kit_base::{Endpoint, Error, Request, Response, ServerStream, Streaming};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpServer, RequestId};

use crate::streams::ticking;
use crate::support::{By, Notes, answer, ask, calling, failing, get, items, op, post, request, shaped, sum, up};

const SUM: &str = r#"{"a":1,"b":2}"#;

fn with_id(mut request: http::Request<Full<Bytes>>, id: &'static [u8]) -> http::Request<Full<Bytes>> {
    request.headers_mut().append("x-request-id", HeaderValue::from_bytes(id).unwrap());
    request
}

fn id(answer: &http::Response<Bytes>) -> String {
    let mut ids = answer.headers().get_all("x-request-id").iter();
    let id = ids.next().expect("an id").to_str().unwrap().to_owned();
    assert!(ids.next().is_none());
    id
}

#[tokio::test]
async fn a_sane_id_of_the_caller_is_taken_over() {
    let routes = sum().request_id().routes().unwrap();
    for sent in [&b"a"[..], b"0af7651916cd43dd", b"req/1:2+3=~!\"", &[b'x'; 128]] {
        let answer = ask(&routes, with_id(post("/sum", SUM), sent)).await;
        assert_eq!(id(&answer).as_bytes(), sent);
    }
}

#[tokio::test]
async fn any_other_request_gets_a_new_id_each_time() {
    let routes = sum().request_id().routes().unwrap();
    let mut seen = std::collections::HashSet::new();
    for sent in [None, None, Some(&b""[..]), Some(b"a b"), Some(b"\xff"), Some(b"a\tb"), Some(&[b'x'; 129])] {
        let request = post("/sum", SUM);
        let request = if let Some(sent) = sent { with_id(request, sent) } else { request };
        assert!(seen.insert(id(&ask(&routes, request).await)), "{seen:?}");
    }
    // Nobody knows which one of two counts.
    let twice = with_id(with_id(post("/sum", SUM), b"a"), b"b");
    assert!(seen.insert(id(&ask(&routes, twice).await)));
    for id in &seen {
        // RFC 9562, version 7: the time, then random bits.
        let parts: Vec<_> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        assert!(parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()), "{id}");
        assert!(parts[2].starts_with('7') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        let time = u64::from_str_radix(&parts[..2].concat(), 16).unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        assert!((now - 60_000..=now).contains(&time), "{id}");
    }
}

#[tokio::test]
async fn every_answer_has_it_and_none_unless_it_is_asked_for() {
    let panics = By(async |_: Request<()>| -> Result<Response<()>, Error> { panic!("oh dear") });
    let server = sum()
        .endpoint(op("panics"), panics)
        .request_id()
        .before(|_, info| assert_ne!(info.uri.path(), "/hook"))
        .endpoint(op("hook"), By(async |_: Request<()>| Ok::<_, Error>(Response::new(()))));
    let routes = server.routes().unwrap();
    for (request, status) in [
        (post("/sum", SUM), 200),
        (post("/sum", "nope"), 400),
        (get("/nowhere"), 404),
        (request(Method::PUT, "/sum", ""), 405),
        (post("/panics", ""), 500),
        (post("/hook", ""), 500),
    ] {
        let answer = ask(&routes, with_id(request, b"abc")).await;
        assert_eq!((answer.status().as_u16(), id(&answer).as_str()), (status, "abc"));
    }
    let stream = answer(ticking(|| items([Ok(1)])).request_id(), with_id(get("/ticks"), b"abc")).await;
    assert_eq!(id(&stream), "abc");
    let without = answer(sum(), with_id(post("/sum", SUM), b"abc")).await;
    assert!(!without.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn hooks_and_endpoints_see_it() {
    let notes = Notes::default();
    let note = |place: &'static str| {
        let notes = notes.clone();
        move |context: &kit_base::Context| {
            let id = context.extensions().get::<RequestId>().unwrap();
            assert_eq!(context.inbound()["x-request-id"], id.as_str());
            notes.add(format!("{place} {id}"));
        }
    };
    let (before, handler, finalizer) = (note("before"), note("handler"), note("finalizer"));
    let server = failing(|| Error::aborted("x"))
        .request_id()
        .before(move |context, _| before(context))
        .error_handler(move |context, _| handler(context))
        .finalizer(move |finished| {
            assert_eq!(finished.headers.unwrap()["x-request-id"], "abc");
            finalizer(finished.context);
        });
    answer(server, with_id(post("/fail", "{}"), b"abc")).await;
    assert_eq!(notes.all(), ["before abc", "handler abc", "finalizer abc"]);
}

#[tokio::test]
async fn one_id_goes_over_two_hops_and_comes_back() {
    let backend = Backend::start(Reply::json("7")).await.unwrap();
    // Each server calls the next one with the context that it was called with.
    let hop = |url: String| {
        let next = kit_transport_http::HttpClient::new(url).unwrap().endpoint::<(), u8>(op("hop"));
        let hop = By(move |request: Request<()>| {
            let next = next.clone();
            async move { next.call(request).await }
        });
        up(HttpServer::new().endpoint(op("hop"), hop).request_id())
    };
    let second = hop(backend.url()).await;
    let first = hop(second.url()).await;
    for sent in [Some("from-outside"), None] {
        let mut context = kit_base::Context::new();
        if let Some(sent) = sent {
            context.outbound_mut().insert("x-request-id", sent.parse().unwrap());
        }
        let hop = first.client().endpoint::<(), u8>(op("hop"));
        let answer = hop.call(Request::from_parts(context, ())).await.unwrap();
        let returned = answer.parts().unwrap().headers["x-request-id"].clone();
        let requests = backend.requests();
        assert_eq!(requests.last().unwrap().headers()["x-request-id"], returned);
        assert!(sent.is_none_or(|sent| sent == returned));
    }
}

#[tokio::test]
async fn a_stream_of_another_service_is_called_with_it() {
    let notes = Notes::default();
    let seen = notes.clone();
    let ticks = shaped::<ServerStream, _>(move |request: Request<(), ServerStream>| {
        seen.add(request.context().inbound()["x-request-id"].to_str().unwrap());
        async { Ok::<_, Error>(Response::new(items([Ok(1)]))) }
    });
    let behind = up(HttpServer::new().endpoint(op("ticks"), ticks)).await;
    let gateway = behind.client().endpoint::<(), Streaming<u8>>(op("ticks"));
    let before = up(HttpServer::new().endpoint(op("ticks"), gateway).request_id()).await;
    let ticks = before.client().endpoint::<(), Streaming<u8>>(op("ticks"));
    let answer = ticks.call(calling::<ServerStream, _>(())).await.unwrap();
    assert_eq!(answer.parts().unwrap().headers["x-request-id"], notes.all()[0].as_str());
}
