//! Section 8: requests and their fields.

use super::{Answer, Reset, all, case, request};
use crate::frames::{END_HEADERS, END_STREAM, GET, HEADERS, POST, PROTOCOL_ERROR, data, field, frame, post};
use crate::support::bind;

/// "Malformed requests [...] MUST be treated as a stream error of type PROTOCOL_ERROR" (8.1.1). An answer of 400 may go
/// before it, and is all there is where not h2 but the server sees the fault.
const MALFORMED: super::Outcome = Reset(1, PROTOCOL_ERROR);

const METHOD: &[u8] = b"\x82";
const SCHEME: &[u8] = b"\x86";
const PATH: &[u8] = b"\x84";
const AUTHORITY: &[u8] = b"\x01\x01t";

#[tokio::test]
async fn bodies_and_trailers_are_as_in_rfc_9113_section_8_1() {
    let trailers = |flags, fields: Vec<u8>| [post(1), data(0, 1, "x"), frame(HEADERS, flags, 1, fields)].concat();
    let sized = |length: &str| frame(HEADERS, END_HEADERS, 1, [POST, &field("content-length", length)].concat());
    let cases = vec![
        case("8.1", "trailers end a request", trailers(END_STREAM | END_HEADERS, field("x", "y")), Answer(1, 200)),
        case("8.1", "trailers that do not end it", trailers(END_HEADERS, field("x", "y")), MALFORMED),
        case("8.1", "pseudo fields in trailers", trailers(END_STREAM | END_HEADERS, field(":path", "/")), MALFORMED),
        case("8.1.1", "a content-length that holds", [sized("1"), data(END_STREAM, 1, "x")].concat(), Answer(1, 200)),
        case("8.1.1", "more bytes than announced", [sized("1"), data(END_STREAM, 1, "xy")].concat(), MALFORMED),
        case("8.1.1", "fewer bytes than announced", [sized("2"), data(END_STREAM, 1, "x")].concat(), MALFORMED),
        case(
            "8.1.1",
            "more bytes in several frames",
            [sized("2"), data(0, 1, "x"), data(END_STREAM, 1, "yz")].concat(),
            MALFORMED,
        ),
        case(
            "8.1.1",
            "fewer bytes, ended by trailers",
            [sized("2"), data(0, 1, "x"), frame(HEADERS, END_STREAM | END_HEADERS, 1, field("x", "y"))].concat(),
            MALFORMED,
        ),
        case("8.1.1", "a body announced, none sent", request(&[POST, &field("content-length", "1")]), MALFORMED),
        case(
            "8.1.1",
            "two lengths that differ",
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    1,
                    [POST, &field("content-length", "1"), &field("content-length", "2")].concat(),
                ),
                data(END_STREAM, 1, "x"),
            ]
            .concat(),
            MALFORMED,
        ),
        case("8.1.1", "a length that is no number", [sized("+1"), data(END_STREAM, 1, "x")].concat(), MALFORMED),
    ];
    all(bind().await, cases).await;
}

#[tokio::test]
async fn names_and_values_of_fields_are_as_in_rfc_9113_section_8_2() {
    let with = |name: &str, value: &[u8]| request(&[GET, &field(name, value)]);
    let mut cases = vec![
        case("8.2", "names and values", with("x-name", b"some value"), Answer(1, 200)),
        case("8.2.1", "an upper-case name", with("X-Name", b"y"), MALFORMED),
        case("8.2.1", "a name with a space", with("x name", b"y"), MALFORMED),
        case("8.2.1", "a name with a colon", with("x:name", b"y"), MALFORMED),
        case("8.2.1", "a name with a control character", with("x\x01", b"y"), MALFORMED),
        case("8.2.1", "a value with NUL", with("x", b"a\0b"), MALFORMED),
        case("8.2.1", "a value with CR", with("x", b"a\rb"), MALFORMED),
        case("8.2.1", "a value with LF", with("x", b"a\nb: c"), MALFORMED),
        case("8.2.1", "a value with bytes over 127", with("x", "ä".as_bytes()), Answer(1, 200)),
        case("8.2.2", "te: trailers", with("te", b"trailers"), Answer(1, 200)),
        case("8.2.2", "te: gzip", with("te", b"gzip"), MALFORMED),
        case("8.2.2", "te: trailers and more", with("te", b"trailers, gzip"), MALFORMED),
        case(
            "8.2.3",
            "cookies in pieces",
            request(&[GET, &field("cookie", "a=1"), &field("cookie", "b=2")]),
            Answer(1, 200),
        ),
    ];
    for (name, value) in [
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ] {
        cases.push(case("8.2.2", name, with(name, value.as_bytes()), MALFORMED));
    }
    all(bind().await, cases).await;
}

#[tokio::test]
async fn pseudo_fields_are_as_in_rfc_9113_section_8_3() {
    let path = |path: &str| request(&[METHOD, SCHEME, AUTHORITY, &field(":path", path)]);
    let authority = |authority: &str| request(&[METHOD, SCHEME, PATH, &field(":authority", authority)]);
    let connect = field(":method", "CONNECT");
    let cases = vec![
        case("8.3", "a pseudo field after others", request(&[METHOD, SCHEME, &field("x", "y"), PATH]), MALFORMED),
        case("8.3", "an unknown pseudo field", request(&[GET, &field(":test", "y")]), MALFORMED),
        case("8.3", "a pseudo field of responses", request(&[GET, b"\x88"]), MALFORMED),
        case("8.3", "twice the method", request(&[METHOD, GET]), MALFORMED),
        case("8.3", "twice the scheme", request(&[SCHEME, GET]), MALFORMED),
        case("8.3", "twice the path", request(&[PATH, GET]), MALFORMED),
        case("8.3", "twice the authority", request(&[AUTHORITY, GET]), MALFORMED),
        case("8.3.1", "no method", request(&[SCHEME, PATH, AUTHORITY]), MALFORMED),
        case("8.3.1", "no scheme", request(&[METHOD, PATH, AUTHORITY]), MALFORMED),
        case("8.3.1", "no path", request(&[METHOD, SCHEME, AUTHORITY]), MALFORMED),
        case("8.3.1", "no authority", request(&[METHOD, SCHEME, PATH]), Answer(1, 200)),
        case("8.3.1", "an empty path", path(""), MALFORMED),
        case("8.3.1", "a path with a space", path("/a b"), MALFORMED),
        case("8.3.1", "a path with a line end", path("/a\r\nx: y"), MALFORMED),
        case("8.3.1", "a path that does not begin with a slash", path("a"), MALFORMED),
        case("8.3.1", "a path with a query", path("/a?b=c"), Answer(1, 200)),
        case("8.3.1", "an authority with a space", authority("a b"), MALFORMED),
        case("8.3.1", "an authority with a slash", authority("a/b"), MALFORMED),
        case("8.3.1", "an authority with a port", authority("t:80"), Answer(1, 200)),
        case("8.3.1", "an empty method", request(&[&field(":method", ""), SCHEME, PATH, AUTHORITY]), MALFORMED),
        case("8.3.1", "a method with a space", request(&[&field(":method", "G T"), SCHEME, PATH]), MALFORMED),
        case("8.3.1", "a host that is the authority", request(&[GET, &field("host", "t")]), Answer(1, 200)),
        case(
            "8.3.1",
            "a host instead of the authority",
            request(&[METHOD, SCHEME, PATH, &field("host", "t")]),
            Answer(1, 200),
        ),
        case("8.3.1", "a host that is not the authority", request(&[GET, &field("host", "other")]), Answer(1, 400)),
        case(
            "8.3.1",
            "two hosts",
            request(&[METHOD, SCHEME, PATH, &field("host", "t"), &field("host", "t")]),
            Answer(1, 400),
        ),
        case("8.5", "CONNECT with a path", request(&[&connect, SCHEME, PATH, AUTHORITY]), MALFORMED),
        case(
            "8.5",
            "CONNECT announcing a body",
            frame(HEADERS, END_HEADERS, 1, [&connect, AUTHORITY, &field("content-length", "1")].concat()),
            MALFORMED,
        ),
        case("8.5", "CONNECT without an authority", request(&[&connect]), Answer(1, 400)),
    ];
    all(bind().await, cases).await;
}
