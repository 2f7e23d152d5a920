//! The hooks of a client: their order, what they see, and that finalizers run once.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use kit_base::{Context, Deadline, Endpoint, Request};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{Connected, FinishedCall, HttpClient, Json};

use crate::support::{HANGS, Notes, chain, op};

fn noted(url: impl AsRef<str>, notes: &Notes) -> Connected<Json, (), i64> {
    let note = |text: &'static str| {
        let notes = notes.clone();
        move || notes.add(text)
    };
    let (before1, before2, after2, final2) = (note("before 1"), note("before 2"), note("after 2"), note("finalizer 2"));
    let (after1, final1) = (notes.clone(), notes.clone());
    HttpClient::new(url)
        .unwrap()
        .before(move |_, _| before1())
        .before(move |_, _| before2())
        .after(move |_, status, headers| after1.add(format!("after 1: {} {}", status.as_u16(), headers.len())))
        .after(move |_, _, _| after2())
        .finalizer(move |finished: &FinishedCall<'_>| {
            let status = finished.status.map(|status| status.as_u16());
            let error = finished.error.map(|error| error.kind());
            final1.add(format!("finalizer 1: {status:?} {error:?} {}", finished.left));
        })
        .finalizer(move |_| final2())
        .endpoint(op("m"))
}

#[tokio::test]
async fn hooks_run_in_order_and_finalizers_once() {
    // HTTP-C1, HTTP-C3.
    let all = ["before 1", "before 2", "after 1: 200 2", "after 2", "finalizer 1: Some(200) None false", "finalizer 2"];
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let notes = Notes::default();
    noted(backend.url(), &notes).call(Request::new(())).await.unwrap();
    assert_eq!(notes.all(), all);
}

#[tokio::test]
async fn finalizers_see_every_way_to_fail() {
    let ends: [(Reply, &[&str]); 3] = [
        (Reply::status(404), &["after 1: 404 1", "after 2", "finalizer 1: Some(404) Some(NotFound) false"]),
        (Reply::json("nope"), &["after 1: 200 2", "after 2", "finalizer 1: Some(200) Some(Internal) false"]),
        (Reply::close(), &["finalizer 1: None Some(Unavailable) false"]),
    ];
    for (reply, end) in ends {
        let backend = Backend::start(reply).await.unwrap();
        let notes = Notes::default();
        noted(backend.url(), &notes).call(Request::new(())).await.unwrap_err();
        assert_eq!(notes.all(), [&["before 1", "before 2"], end, &["finalizer 2"]].concat());
    }
}

#[tokio::test]
async fn what_is_not_sent_has_finalizers_and_no_other_hooks() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let notes = Notes::default();
    let now = tokio::time::Instant::now().into_std();
    let context = Context::new().with_deadline(Deadline::at(now));
    noted(backend.url(), &notes).call(Request::from_parts(context, ())).await.unwrap_err();
    assert_eq!(notes.all(), ["finalizer 1: None Some(DeadlineExceeded) false", "finalizer 2"]);
}

#[tokio::test]
async fn a_caller_that_leaves_is_told_to_finalizers_once() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let notes = Notes::default();
    let client = noted(backend.url(), &notes);
    let call = tokio::spawn(async move { client.call(Request::new(())).await });
    tokio::time::timeout(HANGS, backend.received(1)).await.unwrap();
    call.abort();
    let _ = call.await;
    assert_eq!(notes.all(), ["before 1", "before 2", "finalizer 1: None None true", "finalizer 2"]);
}

#[tokio::test]
async fn a_before_hook_has_the_last_word_on_headers() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().before(|context, headers| {
        let operation = HeaderValue::from_str(&context.operation().to_string()).unwrap();
        headers.insert("x-operation", operation);
        headers.insert("accept", HeaderValue::from_static("application/hal+json"));
        headers.insert("authorization", HeaderValue::from_static("Bearer mine"));
    });
    client.endpoint::<(), i64>(op("m")).call(Request::new(())).await.unwrap();
    let requests = backend.requests();
    let headers = requests[0].headers();
    assert_eq!(headers["x-operation"], "test/m");
    assert_eq!(headers["accept"], "application/hal+json");
    assert_eq!(headers["authorization"], "Bearer mine");
}

#[tokio::test]
async fn a_finalizer_sees_the_source_of_an_error_and_how_long_it_took() {
    let backend = Backend::start(Reply::json("nope").after(std::time::Duration::from_millis(5))).await.unwrap();
    let notes = Notes::default();
    let seen = notes.clone();
    let client = HttpClient::new(backend.url()).unwrap().finalizer(move |finished| {
        assert!(finished.duration >= std::time::Duration::from_millis(5));
        seen.add(format!("{} {}", finished.context.operation(), chain(finished.error.unwrap())));
    });
    client.endpoint::<(), i64>(op("m")).call(Request::new(())).await.unwrap_err();
    let want =
        "test/m INTERNAL: the answer cannot be decoded (200 OK, application/json): expected ident at line 1 column 2";
    assert_eq!(notes.all(), [want]);
}

#[tokio::test]
async fn a_panic_of_a_finalizer_changes_no_outcome() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().finalizer(|_| panic!("the finalizer"));
    let client = client.endpoint::<(), i64>(op("m"));
    assert_eq!(client.call(Request::new(())).await.unwrap().into_message(), 1);
}

#[tokio::test]
async fn framing_is_left_to_the_connection_whatever_hooks_and_outbound_metadata_say() {
    let frame = |headers: &mut HeaderMap| {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    };
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let plain = HttpClient::new(backend.url()).unwrap();
    let hooked = plain.clone().before(move |_, headers| frame(headers));
    for (client, by_context) in [(&plain, true), (&hooked, false)] {
        for (message, length) in [(None, "4"), (Some("longer"), "8")] {
            let mut context = Context::new();
            if by_context {
                frame(context.outbound_mut());
            }
            let call = client.endpoint::<Option<&str>, i64>(op("m"));
            call.call(Request::from_parts(context, message)).await.unwrap();
            let requests = backend.requests();
            let headers = requests.last().unwrap().headers();
            assert_eq!(headers.get_all("content-length").iter().collect::<Vec<_>>(), [length]);
            assert_eq!(headers.get("transfer-encoding"), None);
        }
    }
}

#[tokio::test]
async fn host_is_that_of_the_url_unless_a_before_hook_sets_another() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap();
    let context = || Context::new().with_outbound(HOST, HeaderValue::from_static("elsewhere.example"));
    let host = async |client: &HttpClient| {
        client.endpoint::<(), i64>(op("m")).call(Request::from_parts(context(), ())).await.unwrap();
        backend.requests().last().unwrap().headers()["host"].clone()
    };
    assert_eq!(host(&client).await, backend.addr().to_string());
    let hooked = client.before(|_, headers| {
        headers.insert(HOST, HeaderValue::from_static("virtual.example"));
    });
    assert_eq!(host(&hooked).await, "virtual.example");
}
