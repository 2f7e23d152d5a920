//! The context: cheap to pass, and what of it leaves with a call.

use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use kit_base::{Context, Deadline, Operation, PassOn, Peer, Request, RequestParts, TlsIdentity};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn received() -> Context {
    let inbound = headers(&[
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
        ("x-tenant", "seven"),
        ("x-request-id", "42"),
        ("authorization", "Bearer secret"),
        ("proxy-authorization", "Basic secret"),
        ("cookie", "session=secret"),
        ("x-api-key", "secret"),
        ("content-length", "5"),
        ("grpc-timeout", "1S"),
    ]);
    let mut extensions = Extensions::new();
    extensions.insert(7u8);
    Context::received(inbound, extensions)
}

fn names(map: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_context_is_five_words_and_an_empty_one_allocates_nothing() {
    assert!(size_of::<Context>() <= 40);
    assert!(size_of::<Request<()>>() <= 40);
    assert_eq!(size_of::<Request<[u64; 2]>>(), size_of::<Context>() + 16);
    // It is a constant, so it cannot allocate.
    const EMPTY: Context = Context::new();
    assert!(EMPTY.inbound().is_empty() && EMPTY.outbound().is_empty() && EMPTY.extensions().is_empty());
    assert_eq!(EMPTY.operation(), &Operation::UNMATCHED);
    assert!(EMPTY.deadline().is_none() && EMPTY.peer().is_none());
}

#[test]
fn a_clone_shares_what_was_put_in_and_changes_alone() {
    let one = received();
    let mut two = one.clone();
    assert!(std::ptr::eq(one.inbound(), two.inbound()));
    two.outbound_mut().insert(TENANT, HeaderValue::from_static("eight"));
    two.extensions_mut().insert(8u16);
    assert!(one.outbound().is_empty());
    assert!(one.extensions().get::<u16>().is_none());
    assert_eq!((two.outbound().len(), two.inbound().len()), (1, one.inbound().len()));
    assert_eq!(two.extensions().get(), Some(&7u8));
}

#[test]
fn a_deadline_only_ever_shrinks() {
    let now = Instant::now();
    let [early, late] = [1, 5].map(|secs| Deadline::after(now, Duration::from_secs(secs)));
    assert_eq!(Context::new().with_deadline(early).with_deadline(late).deadline(), Some(early));
    assert_eq!(Context::new().with_deadline(late).with_deadline(early).deadline(), Some(early));
}

#[test]
fn a_child_keeps_operation_deadline_outbound_trace_baggage_and_request_id() {
    let operation = Operation::new("addsvc", "sum");
    let deadline = Deadline::at(Instant::now());
    let parent = received()
        .with_operation(operation.clone())
        .with_deadline(deadline)
        .with_outbound(HeaderName::from_static("x-mine"), HeaderValue::from_static("1"));
    let child = parent.child(&PassOn::default());
    assert_eq!(names(child.outbound()), ["baggage", "traceparent", "tracestate", "x-mine", "x-request-id"]);
    assert_eq!(child.outbound()["traceparent"], "00-1-2-01");
    assert_eq!((child.operation(), child.deadline()), (&operation, Some(deadline)));
}

#[test]
fn a_child_leaves_credentials_extensions_and_all_else_behind() {
    let child = received().child(&PassOn::default());
    assert!(child.inbound().is_empty());
    assert!(child.extensions().is_empty());
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, TENANT] {
        assert!(!child.outbound().contains_key(&name), "{name}");
    }
    // Nor does a grandchild find any.
    let want = ["baggage", "traceparent", "tracestate", "x-request-id"];
    assert_eq!(names(child.child(&PassOn::default()).outbound()), want);
}

#[test]
fn a_child_takes_the_names_to_pass_on() {
    let pass_on = PassOn::new(["x-tenant", "X-Request-ID", "x-absent"]).unwrap();
    let child = received().child(&pass_on);
    let want = ["baggage", "traceparent", "tracestate", "x-request-id", "x-tenant"];
    assert_eq!(names(child.outbound()), want);
    // What is passed on anyway is not sent twice.
    assert_eq!(child.outbound().get_all("x-request-id").iter().count(), 1);
}

#[test]
fn what_was_set_for_sending_wins_over_what_arrived() {
    let own = HeaderName::from_static("traceparent");
    let parent = received().with_outbound(own.clone(), HeaderValue::from_static("00-1-3-01"));
    let child = parent.child(&PassOn::default());
    assert_eq!(child.outbound().get_all(own).iter().collect::<Vec<_>>(), ["00-1-3-01"]);
}

#[test]
fn all_values_of_a_name_are_passed_on() {
    let mut inbound = HeaderMap::new();
    for value in ["a=1", "b=2"] {
        inbound.append("baggage", HeaderValue::from_static(value));
    }
    let child = Context::received(inbound, Extensions::new()).child(&PassOn::default());
    assert_eq!(child.outbound().get_all("baggage").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn a_child_of_nothing_is_nothing() {
    let child = Context::new().child(&PassOn::default());
    assert!(child.outbound().is_empty() && child.deadline().is_none());
}

#[test]
fn credentials_and_framing_are_never_passed_on() {
    for name in [
        "authorization",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "COOKIE",
        "x-api-key",
        "Host",
        "content-length",
        "te",
    ] {
        let error = PassOn::new(["x-tenant", name]).unwrap_err();
        assert_eq!(error.message(), format!("{name:?} is not passed on: it is the caller's own"));
        assert_eq!(error.kind(), kit_base::Kind::InvalidArgument);
    }
}

#[test]
fn what_is_no_name_of_metadata_is_refused_and_shown() {
    for name in ["", "x tenant", "x-tenant\n", "größe", "a:b"] {
        assert_eq!(PassOn::new([name]).unwrap_err().message(), format!("{name:?} is not a name of metadata"));
    }
}

#[test]
fn the_debug_form_shows_names_and_no_values() {
    let context = received()
        .with_outbound(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))
        .with_operation(Operation::new("addsvc", "sum"))
        .with_extension("secret");
    for shown in
        [format!("{context:?}"), format!("{context:#?}"), format!("{:?}", Request::<_>::from_parts(context, 1u8))]
    {
        assert!(shown.contains("authorization") && shown.contains("addsvc/sum") && shown.contains("cookie"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("seven"), "{shown}");
    }
}

#[test]
fn the_peer_is_read_from_the_extensions() {
    let addr: std::net::SocketAddr = "10.0.0.7:4711".parse().unwrap();
    let mut peer = Peer::from(addr);
    peer.tls = Some(std::sync::Arc::new(TlsIdentity::new(vec![vec![1, 2], vec![3]])));
    let context = Context::new().with_extension(peer.clone());
    assert_eq!(context.peer(), Some(&peer));
    assert_eq!(context.peer().unwrap().tls.as_ref().unwrap().certificates[0], [1, 2]);
    let request = Request::<_>::from_parts(context, ());
    assert_eq!(RequestParts::peer(&request).unwrap().addr, Some(addr));
}
