//! The headers `RateLimit-Policy` and `RateLimit`, read strictly: lists of strings with integer parameters (RFC 9651), as
//! draft-ietf-httpapi-ratelimit-headers-11 has them.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use kit_base::{Clock, Endpoint, Error, Gate, Guard, Kind, ServiceError, Standard};
use kit_ratelimit::{Delay, Keyed, Layer, Limited, Quota, RateLimit};
use kit_testing::clock::ManualClock;

use crate::support::{ms, nz, quota};

/// One member: the string, and its parameters in order.
pub(crate) type Member = (String, Vec<(String, u64)>);

/// Parses all lines of a header as one list; nothing that RFC 9651 does not allow passes, nor a float, a token or a flag.
pub(crate) fn read(headers: &HeaderMap, name: &str) -> Vec<Member> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    parse(&lines.join(", ")).unwrap_or_else(|| panic!("{name}: {lines:?} is no list"))
}

fn parse(list: &str) -> Option<Vec<Member>> {
    let (mut members, mut rest) = (Vec::new(), list);
    loop {
        let (string, after) = parse_string(rest)?;
        rest = after;
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start_matches(' ');
            let (key, value) = after.split_once('=')?;
            let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c);
            let begins = key.starts_with(|c: char| c.is_ascii_lowercase() || c == '*');
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            if !begins || !key.chars().all(is_key) || !(1..=15).contains(&digits) {
                return None;
            }
            // No parameter may come twice: the last would count.
            if parameters.iter().any(|(known, _)| known == key) {
                return None;
            }
            parameters.push((key.to_owned(), value[..digits].parse().ok()?));
            rest = &value[digits..];
        }
        members.push((string, parameters));
        if rest.is_empty() {
            return Some(members);
        }
        // Optional white space on both sides of the comma, and something after it.
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix(',')?.trim_start_matches([' ', '\t']);
    }
}

fn parse_string(text: &str) -> Option<(String, &str)> {
    let (mut string, mut chars) = (String::new(), text.strip_prefix('"')?.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((string, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\') => string.push(c),
                _ => return None,
            },
            ' '..='~' => string.push(c),
            _ => return None,
        }
    }
    None
}

/// What one limit says, as it should be.
pub(crate) fn policy(name: &str, q: u64, w: u64) -> Member {
    (name.to_owned(), vec![("q".to_owned(), q), ("w".to_owned(), w)])
}

pub(crate) fn left(name: &str, r: u64, t: u64) -> Member {
    (name.to_owned(), vec![("r".to_owned(), r), ("t".to_owned(), t)])
}

#[test]
fn the_parser_of_these_tests_is_strict() {
    let both = vec![policy("a", 5, 1), policy("b \"\\", 0, 60)];
    assert_eq!(parse(r#""a";q=5;w=1 ,	"b \"\\"; q=0;w=60"#), Some(both));
    for bad in [
        "",
        "a;q=5",
        "\"a",
        "\"a\",",
        ",\"a\"",
        "\"a\" \"b\"",
        "\"a\";q",
        "\"a\";q=",
        "\"a\";q=-1",
        "\"a\";q=1.5",
        "\"a\";Q=1",
        "\"a\" ;q=1",
        "\"a\";q=1;q=2",
        "\"a\";q=1234567890123456",
        "\"\\a\"",
        "\"\u{e9}\"",
        "\"\t\"",
    ] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}

/// An endpoint on `http` types, which answers with headers of its own.
#[derive(Clone, Copy, Debug)]
struct Answers(StatusCode);

impl Endpoint<Request<u32>> for Answers {
    type Response = Response<String>;
    type Error = ServiceError<Infallible>;

    async fn call(&self, _: Request<u32>) -> Result<Response<String>, Self::Error> {
        let answer = Response::builder().status(self.0).header("x-own", "1").header("ratelimit", r#""own";r=7;t=3"#);
        Ok(answer.body("answer".into()).unwrap())
    }
}

/// Fails with a business error.
#[derive(Clone, Copy, Debug)]
struct Fails;

impl Endpoint<Request<u32>> for Fails {
    type Response = Response<String>;
    type Error = ServiceError<Infallible>;

    async fn call(&self, _: Request<u32>) -> Result<Response<String>, Self::Error> {
        Err(ServiceError::Refused(Error::not_found("no such thing")))
    }
}

/// A guard on a clock that stands still.
fn at_rest<G>(gate: G) -> (Guard<G, Standard, ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (Guard::with(gate, Standard, clock.clone()), clock)
}

fn ask(cost: u32) -> Request<u32> {
    Request::new(cost)
}

/// The headers of an answer, or of the answer that a refusal becomes.
async fn heads<G>(guard: &Guard<G, Standard, ManualClock>, cost: u32) -> (StatusCode, HeaderMap)
where
    G: Gate<Request<u32>, Response<String>, ServiceError<Infallible>> + 'static,
{
    match guard.layer(Answers(StatusCode::OK)).call(ask(cost)).await {
        Ok(answer) => (answer.status(), answer.headers().clone()),
        Err(ServiceError::Refused(refusal)) => {
            let answer = refusal.to_http_answer();
            (answer.status(), answer.headers().clone())
        }
        Err(ServiceError::Inner(never)) => match never {},
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap())
}

/// "If a response contains both the Retry-After and the RateLimit header fields, the Retry-After field value SHOULD NOT
/// reference a point in time earlier than the end of the effective window" (section 6).
#[tokio::test]
async fn retry_after_is_never_before_the_end_of_the_effective_window() {
    for (quota, cost) in [
        (quota(5, 5), 1),
        (Quota::per_minute(nz(8)).with_burst(nz(2)), 1),
        (Quota::per_minute(nz(8)), 3),
        (Quota::per_hour(nz(10_000)), 7),
        (Quota::per(nz(1), Duration::from_secs(3600)).unwrap(), 1),
    ] {
        let (guard, clock) = at_rest(RateLimit::new(quota).costing(|request: &Request<u32>| *request.body()));
        for step in 0..400 {
            let (status, headers) = heads(&guard, cost).await;
            if status == 429 {
                let window = read(&headers, "ratelimit")[0].1[1].1;
                let after = retry_after(&headers).unwrap();
                assert!(after >= window, "{quota}, step {step}: Retry-After {after}, t {window}");
                assert!(window > 0);
            }
            if step % 3 == 0 {
                clock.advance(quota.interval() / 7);
            }
        }
    }
}

/// `t` is "the number of seconds within which the client can use no more than the available quota" (section 4.1.2): until
/// there is one more.
#[tokio::test]
async fn within_t_no_more_can_be_used_than_r_and_after_it_one_more() {
    let quota = Quota::per_minute(nz(6)).with_burst(nz(3));
    let (guard, clock) = at_rest(RateLimit::new(quota).with_headers());
    for passed in [0, 3, 3, 10, 1, 25, 0, 0, 7, 12, 0, 0, 60, 0] {
        clock.advance(Duration::from_secs(passed));
        let (status, headers) = heads(&guard, 1).await;
        let said =
            if status == 200 { read(&headers, "ratelimit")[1].clone() } else { read(&headers, "ratelimit")[0].clone() };
        let (r, t) = (said.1[0].1, said.1[1].1);
        let standing = guard.gate().standing_at(clock.now());
        assert_eq!(r, u64::from(standing.remaining));
        let at = |after: u64| guard.gate().standing_at(clock.now() + Duration::from_secs(after)).remaining;
        assert_eq!(u64::from(at(t)), r + 1, "after {t} s there is one more");
        assert_eq!(u64::from(at(t - 1)), r, "and not before");
    }
    // A full bucket: whoever takes all of it at once has the next one after an interval.
    clock.advance(Duration::from_secs(60));
    let full = guard.gate().standing_at(clock.now());
    assert_eq!((full.remaining, full.reset, full.next), (3, Duration::ZERO, Duration::from_secs(10)));
}

#[tokio::test]
async fn a_refusal_says_what_is_allowed_and_what_is_left_in_whole_seconds_rounded_up() {
    let quota = Quota::per_minute(nz(8)).with_burst(nz(2));
    let (guard, clock) = at_rest(RateLimit::new(quota));
    for _ in 0..2 {
        // Without being asked, answers say nothing of it.
        let (status, headers) = heads(&guard, 1).await;
        assert_eq!((status.as_u16(), headers.contains_key("ratelimit-policy")), (200, false));
    }
    clock.advance(ms(100));
    let (status, headers) = heads(&guard, 1).await;
    assert_eq!(status, 429);
    assert_eq!(headers["ratelimit-policy"], r#""default";q=2;w=15"#);
    assert_eq!(headers["ratelimit"], r#""default";r=0;t=8"#);
    assert_eq!(retry_after(&headers), Some(8));
    // Whole seconds stay as they are.
    clock.advance(ms(3_400));
    let (_, headers) = heads(&guard, 1).await;
    assert_eq!((read(&headers, "ratelimit"), retry_after(&headers)), (vec![left("default", 0, 4)], Some(4)));
}

/// A window "MUST be a non-negative, non-zero Integer", and sub-second precision is not supported.
#[tokio::test]
async fn short_windows_are_a_second_and_long_ones_fit() {
    let year = Duration::from_secs(366 * 24 * 3600);
    for (quota, q, w) in [
        (quota(5, 5), 5, 1),
        (quota(1_000_000, 1), 1, 1),
        (quota(4_000_000_000, 4_000_000_000), 4_000_000_000, 1),
        (quota(2, 3), 3, 2),
        (quota(3, 3), 3, 1),
        (quota(7, 7), 7, 1),
        (quota(1_000_003, 1_000_003), 1_000_003, 1),
        (quota(4_000_000_000, 4), 4, 1),
        (Quota::per_minute(nz(7)), 7, 60),
        (Quota::per_hour(nz(1000)), 1000, 3600),
        (Quota::per(nz(1), year).unwrap().with_burst(nz(u32::MAX)), 9, 9 * year.as_secs()),
        (Quota::per_second(nz(u32::MAX)).with_burst(nz(u32::MAX)), u64::from(u32::MAX), 1),
    ] {
        let (guard, _) = at_rest(RateLimit::new(quota).with_headers());
        let (_, headers) = heads(&guard, 1).await;
        assert_eq!(read(&headers, "ratelimit-policy"), [policy("default", q, w)], "{quota}");
        let said = &read(&headers, "ratelimit")[1];
        assert_eq!((said.1[0].1, said.1[1].0.as_str()), (q - 1, "t"), "{quota}");
    }
}

#[tokio::test]
async fn names_become_strings_of_structured_fields() {
    let long = "n".repeat(5_000);
    for (name, read_as) in [
        ("", "default"),
        ("search", "search"),
        ("per user", "per user"),
        (r#"a"b"#, r#"a"b"#),
        (r"a\b", r"a\b"),
        (r#"\""#, r#"\""#),
        ("~ !", "~ !"),
        ("für alle", "f?r alle"),
        ("\u{1f600}", "?"),
        ("a\r\nx-evil: 1", "a??x-evil: 1"),
        ("\0\u{7f}\t", "???"),
        ("a,b;q=9", "a,b;q=9"),
        (&long, &long),
    ] {
        let (guard, _) = at_rest(RateLimit::new(quota(1, 1)).named(name).with_headers());
        for status in [200, 429] {
            let (seen, headers) = heads(&guard, 1).await;
            assert_eq!(seen, status);
            assert_eq!(read(&headers, "ratelimit-policy"), [policy(read_as, 1, 1)], "{name}");
            assert_eq!(read(&headers, "ratelimit").last().unwrap().0, read_as, "{name}");
        }
    }
}

#[tokio::test]
async fn answers_say_what_is_left_where_that_is_asked_for_and_keep_what_they_have() {
    let (guard, clock) = at_rest(RateLimit::new(quota(1, 3)).with_headers());
    for r in [2, 1, 0] {
        let (status, headers) = heads(&guard, 1).await;
        assert_eq!((status.as_u16(), &headers["x-own"]), (200, &HeaderValue::from_static("1")));
        assert_eq!(read(&headers, "ratelimit-policy"), [policy("default", 3, 3)]);
        // What the service says of its own comes first.
        assert_eq!(read(&headers, "ratelimit"), [left("own", 7, 3), left("default", r, 1)]);
    }
    let (status, headers) = heads(&guard, 1).await;
    assert_eq!((status.as_u16(), read(&headers, "ratelimit")), (429, vec![left("default", 0, 1)]));
    clock.advance(ms(2_500));
    let (status, headers) = heads(&guard, 1).await;
    assert_eq!((status.as_u16(), &read(&headers, "ratelimit")[1]), (200, &left("default", 1, 1)));
}

/// Whatever the status, be it a backend's own 429.
#[tokio::test]
async fn a_429_of_the_service_itself_keeps_its_headers_and_is_added_to() {
    let (guard, _) = at_rest(RateLimit::new(quota(5, 5)).with_headers());
    let answer = guard.layer(Answers(StatusCode::TOO_MANY_REQUESTS)).call(ask(1)).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(read(answer.headers(), "ratelimit"), [left("own", 7, 3), left("default", 4, 1)]);
    assert_eq!(http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes(), "answer");
}

#[tokio::test]
async fn two_limits_speak_in_one_list_and_a_refusal_speaks_of_the_one_that_refuses() {
    let second = RateLimit::new(quota(3, 3)).named("second");
    let minute = RateLimit::new(Quota::per_minute(nz(2))).named("minute");
    let (guard, _) = at_rest((second.with_headers(), minute.with_headers()));
    let (_, headers) = heads(&guard, 1).await;
    // The innermost first.
    assert_eq!(read(&headers, "ratelimit-policy"), [policy("minute", 2, 60), policy("second", 3, 1)]);
    assert_eq!(read(&headers, "ratelimit")[1..], [left("minute", 1, 30), left("second", 2, 1)]);
    heads(&guard, 1).await;
    let (status, headers) = heads(&guard, 1).await;
    assert_eq!((status.as_u16(), retry_after(&headers)), (429, Some(30)));
    assert_eq!(read(&headers, "ratelimit-policy"), [policy("minute", 2, 60)]);
    assert_eq!(read(&headers, "ratelimit"), [left("minute", 0, 30)]);
}

#[tokio::test]
async fn an_error_is_left_as_it_is() {
    let (guard, _) = at_rest(RateLimit::new(quota(5, 5)).with_headers());
    let error = guard.layer(Fails).call(ask(1)).await.unwrap_err();
    let ServiceError::Refused(error) = error;
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "no such thing"));
    let mut headers = HeaderMap::new();
    error.write_headers(&mut headers);
    assert!(headers.is_empty());
    assert!(Limited::of(&error).is_none());
}

#[tokio::test]
async fn what_is_free_says_nothing_and_what_costs_more_counts_down_by_more() {
    let limit = || RateLimit::new(quota(1, 10)).costing(|request: &Request<u32>| *request.body());
    let (guard, clock) = at_rest(limit().with_headers());
    let said = async |cost| {
        let (status, headers) = heads(&guard, cost).await;
        let said: Vec<_> = read(&headers, "ratelimit").into_iter().filter(|(name, _)| name == "default").collect();
        (status.as_u16(), said)
    };
    assert_eq!(said(0).await, (200, vec![]));
    assert_eq!(said(4).await, (200, vec![left("default", 6, 1)]));
    assert_eq!(said(0).await, (200, vec![]));
    assert_eq!(said(6).await, (200, vec![left("default", 0, 1)]));
    assert_eq!(said(0).await, (200, vec![]));
    assert_eq!(said(1).await, (429, vec![left("default", 0, 1)]));
    // Until there is one more, and until there are enough.
    clock.advance(ms(1_500));
    let (_, headers) = heads(&guard, 3).await;
    assert_eq!((read(&headers, "ratelimit"), retry_after(&headers)), (vec![left("default", 1, 1)], Some(2)));
    // It can never be made, so nobody is told when to come back.
    let (status, headers) = heads(&guard, 11).await;
    assert_eq!((status.as_u16(), retry_after(&headers)), (429, None));
    assert_eq!(read(&headers, "ratelimit-policy"), [policy("default", 10, 10)]);
}

#[tokio::test]
async fn a_limit_that_only_observes_says_what_is_left_and_refuses_nothing() {
    let (guard, _) = at_rest(RateLimit::new(quota(1, 2)).observe_only().with_headers());
    for r in [1, 0, 0, 0] {
        let (status, headers) = heads(&guard, 1).await;
        assert_eq!((status.as_u16(), &read(&headers, "ratelimit")[1]), (200, &left("default", r, 1)));
    }
}

#[tokio::test]
async fn each_key_is_told_of_its_own_bucket() {
    let keyed = Keyed::by(quota(1, 3), |request: &Request<u32>| Some(*request.body())).named("user");
    let (guard, _) = at_rest(keyed.with_headers());
    for (key, r) in [(1, 2), (1, 1), (2, 2), (1, 0), (2, 1)] {
        let (_, headers) = heads(&guard, key).await;
        assert_eq!(read(&headers, "ratelimit")[1], left("user", r, 1), "{key}");
    }
    let (status, headers) = heads(&guard, 1).await;
    assert_eq!((status.as_u16(), read(&headers, "ratelimit")), (429, vec![left("user", 0, 1)]));
}

/// Messages with metadata.
#[derive(Clone, Copy, Debug)]
struct Replies;

impl Endpoint<kit_base::Request<u32>> for Replies {
    type Response = kit_base::Response<u32>;
    type Error = Error;

    async fn call(&self, request: kit_base::Request<u32>) -> Result<kit_base::Response<u32>, Error> {
        let own = (http::HeaderName::from_static("x-own"), HeaderValue::from_static("1"));
        Ok(kit_base::Response::new(request.into_message()).with_header(own.0, own.1))
    }
}

#[tokio::test]
async fn over_messages_they_are_metadata_of_the_response_and_of_the_error() {
    let (guard, _) = at_rest(RateLimit::new(quota(1, 2)).named("calls").with_headers());
    let endpoint = guard.layer(Replies);
    for r in [1, 0] {
        let (message, parts) = endpoint.call(kit_base::Request::new(7)).await.unwrap().into_parts();
        assert_eq!((message, &parts.headers["x-own"]), (7, &HeaderValue::from_static("1")));
        assert_eq!(read(&parts.headers, "ratelimit-policy"), [policy("calls", 2, 2)]);
        assert_eq!(read(&parts.headers, "ratelimit"), [left("calls", r, 1)]);
        // "This field MUST NOT appear in a trailer section."
        assert!(parts.trailers.is_empty());
    }
    let refusal = endpoint.call(kit_base::Request::new(7)).await.unwrap_err();
    let answer = refusal.to_grpc_answer();
    assert_eq!(read(answer.headers(), "ratelimit"), [left("calls", 0, 1)]);
    // Written once, however often the error is looked at.
    assert_eq!(read(refusal.to_http_answer().headers(), "ratelimit-policy"), [policy("calls", 2, 2)]);
}

/// A call that would wait too long may come while the bucket is still empty, and wait for the rest.
#[tokio::test(start_paused = true)]
async fn a_limit_that_delays_says_when_to_come_to_wait() {
    let delay = Delay::new(Quota::per_minute(nz(1))).at_most(Duration::from_secs(10)).named("slow");
    let endpoint = delay.layer(Replies);
    endpoint.call(kit_base::Request::new(1)).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    let answer = endpoint.call(kit_base::Request::new(2)).await.unwrap_err().to_http_answer();
    assert_eq!((answer.status().as_u16(), retry_after(answer.headers())), (429, Some(45)));
    assert_eq!(read(answer.headers(), "ratelimit-policy"), [policy("slow", 1, 60)]);
    assert_eq!(read(answer.headers(), "ratelimit"), [left("slow", 0, 45)]);
    tokio::time::advance(Duration::from_secs(45)).await;
    endpoint.call(kit_base::Request::new(3)).await.unwrap();
}
