//! HTTP/1.1 heads and bodies that two readers could read in two ways (RFC 9112, 6.3 and 11.2), each with the exact
//! answers that come, and with what the service sees.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kit_serve::RequestBody;
use tower::service_fn;

use crate::support::{Body, Raw, bind, start, text};

/// What the service saw: method, target, host, body ("!" at its end if that could not be read).
type Seen = Arc<Mutex<Vec<String>>>;

async fn look(request: Request<RequestBody>, seen: Seen) -> Result<Response<Body>, Infallible> {
    let host = request.headers().get("host").map_or("-", |host| host.to_str().unwrap());
    let mut what = format!("{} {} {host}", request.method(), request.uri());
    let mut body = request.into_body();
    let mut status = StatusCode::OK;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    what = what + " " + std::str::from_utf8(data).unwrap();
                } else if let Some(trailers) = frame.trailers_ref() {
                    what = what + &format!(" trailers {}", trailers.len());
                }
            }
            Err(_) => {
                status = StatusCode::BAD_REQUEST;
                what.push('!');
                break;
            }
        }
    }
    seen.lock().unwrap().push(what);
    let mut response = text("");
    *response.status_mut() = status;
    Ok(response)
}

/// Bytes, the statuses of all answers, and what the service saw. The connection always ends: by itself after an error,
/// else because the last request asks for it.
type Row = (&'static str, &'static str, &'static [u16], &'static [&'static str]);

/// Sends each row on a connection of its own.
async fn check(rows: &[Row]) {
    let mut broken = String::new();
    for (what, bytes, statuses, wanted) in rows {
        let seen = Seen::default();
        let inner = Arc::clone(&seen);
        let server = start!(bind().await, service_fn(move |request| look(request, Arc::clone(&inner))));
        let mut raw = Raw::connect(server.addr).await;
        raw.send(bytes).await;
        let answers = raw.rest().await;
        let got: Vec<u16> = answers
            .split("HTTP/1.1 ")
            .chain(answers.split("HTTP/1.0 ").skip(1))
            .filter_map(|answer| answer.get(..3)?.parse().ok())
            .collect();
        let saw = seen.lock().unwrap().clone();
        if got != *statuses || saw != *wanted {
            broken += &format!("{what}: answered {got:?} instead of {statuses:?}, saw {saw:?} instead of {wanted:?}\n");
        }
    }
    assert!(broken.is_empty(), "\n{broken}");
}

/// A request that follows what is tested, and ends the connection. If it is seen, the one before ended where it should.
macro_rules! last {
    ($($bytes:tt)*) => {
        concat!($($bytes)*, "GET /last HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
    };
}
const LAST: &str = "GET /last t";

/// A POST with these header lines, and what follows its head.
macro_rules! post {
    ($lines:literal, $rest:literal) => {
        last!("POST / HTTP/1.1\r\nhost: t\r\n", $lines, "\r\n\r\n", $rest)
    };
}

#[tokio::test]
async fn the_end_of_a_body_is_clear_or_the_request_is_refused() {
    check(&[
        ("a length", post!("content-length: 2", "ab"), &[200, 200], &["POST / t ab", LAST]),
        ("a length of 0", post!("content-length: 0", ""), &[200, 200], &["POST / t", LAST]),
        ("no length", post!("x: y", ""), &[200, 200], &["POST / t", LAST]),
        ("two lengths that differ", post!("content-length: 2\r\ncontent-length: 3", "abc"), &[400], &[]),
        (
            "two lengths that do not",
            post!("content-length: 2\r\ncontent-length: 2", "ab"),
            &[200, 200],
            &["POST / t ab", LAST],
        ),
        ("a list of lengths", post!("content-length: 2, 2", "ab"), &[400], &[]),
        ("a length with a plus", post!("content-length: +2", "ab"), &[400], &[]),
        ("a length with a minus", post!("content-length: -2", "ab"), &[400], &[]),
        ("a length in hex", post!("content-length: 0x2", "ab"), &[400], &[]),
        ("a length with letters", post!("content-length: 2a", "ab"), &[400], &[]),
        ("a length with a space", post!("content-length: 2 2", "ab"), &[400], &[]),
        ("a length with a fraction", post!("content-length: 2.0", "ab"), &[400], &[]),
        ("no digits", post!("content-length: ", "ab"), &[400], &[]),
        ("a length over 64 bits", post!("content-length: 18446744073709551618", "ab"), &[400], &[]),
        ("spaces around a length", post!("content-length:  \t2 ", "ab"), &[200, 200], &["POST / t ab", LAST]),
        ("leading zeros", post!("content-length: 002", "ab"), &[200, 200], &["POST / t ab", LAST]),
        // Answered as the chunks say, the length thrown away, and the connection closed (6.1: "MUST close").
        (
            "chunks and a length",
            post!("content-length: 6\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
            &[200],
            &["POST / t"],
        ),
        (
            "a length and chunks",
            post!("transfer-encoding: chunked\r\ncontent-length: 6", "0\r\n\r\n"),
            &[200],
            &["POST / t"],
        ),
        (
            "chunks and no length at all",
            post!("transfer-encoding: chunked\r\ncontent-length: x", "0\r\n\r\n"),
            &[200],
            &["POST / t"],
        ),
        (
            "a body of a GET",
            last!("GET / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nab"),
            &[200, 200],
            &["GET / t ab", LAST],
        ),
    ])
    .await;
}

#[tokio::test]
async fn codings_of_transfer_are_chunked_alone_or_the_request_is_refused() {
    check(&[
        ("chunks", post!("transfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n"), &[200, 200], &["POST / t a", LAST]),
        ("in capitals", post!("Transfer-Encoding: CHUNKED", "1\r\na\r\n0\r\n\r\n"), &[200, 200], &["POST / t a", LAST]),
        (
            "spaces around it",
            post!("transfer-encoding:\t chunked \t", "1\r\na\r\n0\r\n\r\n"),
            &[200, 200],
            &["POST / t a", LAST],
        ),
        ("another coding last", post!("transfer-encoding: chunked, gzip", "0\r\n\r\n"), &[400], &[]),
        ("another coding alone", post!("transfer-encoding: gzip", "0\r\n\r\n"), &[400], &[]),
        ("no coding", post!("transfer-encoding: identity", "0\r\n\r\n"), &[400], &[]),
        ("no word", post!("transfer-encoding: ", "0\r\n\r\n"), &[400], &[]),
        ("a word that ends like it", post!("transfer-encoding: xchunked", "0\r\n\r\n"), &[400], &[]),
        ("in quotes", post!("transfer-encoding: \"chunked\"", "0\r\n\r\n"), &[400], &[]),
        ("with a parameter", post!("transfer-encoding: chunked;x=y", "0\r\n\r\n"), &[400], &[]),
        ("a vertical tab before it", post!("transfer-encoding: \x0bchunked", "0\r\n\r\n"), &[400], &[]),
        ("a form feed after it", post!("transfer-encoding: chunked\x0c", "0\r\n\r\n"), &[400], &[]),
        ("a line end before it", post!("transfer-encoding:\r\n chunked", "0\r\n\r\n"), &[400], &[]),
        ("a space before the colon", post!("transfer-encoding : chunked", "0\r\n\r\n"), &[400], &[]),
        ("a tab before the colon", post!("transfer-encoding\t: chunked", "0\r\n\r\n"), &[400], &[]),
        ("another coding first", post!("transfer-encoding: gzip, chunked", "0\r\n\r\n"), &[501], &[]),
        ("no coding first", post!("transfer-encoding: identity, chunked", "0\r\n\r\n"), &[501], &[]),
        ("twice", post!("transfer-encoding: chunked, chunked", "0\r\n\r\n"), &[501], &[]),
        ("on two lines", post!("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"), &[501], &[]),
        (
            "two lines, the last another",
            post!("transfer-encoding: chunked\r\ntransfer-encoding: x", "0\r\n\r\n"),
            &[400],
            &[],
        ),
        (
            "two lines, the first another",
            post!("transfer-encoding: x\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
            &[501],
            &[],
        ),
        ("an empty one first", post!("transfer-encoding: , chunked", "0\r\n\r\n"), &[501], &[]),
        ("HTTP/1.0", "POST / HTTP/1.0\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", &[400], &[]),
    ])
    .await;
}

/// A POST in chunks.
macro_rules! chunks {
    ($chunks:literal) => {
        post!("transfer-encoding: chunked", $chunks)
    };
}

#[tokio::test]
async fn chunks_are_exact_or_the_body_fails_and_nothing_after_it_is_served() {
    // The service answers 400 to what it cannot read.
    const BROKEN: &[u16] = &[400];
    check(&[
        ("a size in capitals", chunks!("A\r\n0123456789\r\n0\r\n\r\n"), &[200, 200], &["POST / t 0123456789", LAST]),
        ("leading zeros", chunks!("001\r\na\r\n000\r\n\r\n"), &[200, 200], &["POST / t a", LAST]),
        ("an extension", chunks!("1;x=y\r\na\r\n0;z\r\n\r\n"), &[200, 200], &["POST / t a", LAST]),
        ("spaces after a size", chunks!("1 \t\r\na\r\n0\r\n\r\n"), &[200, 200], &["POST / t a", LAST]),
        ("a space before a size", chunks!(" 1\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a size with 0x", chunks!("0x1\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a size with a minus", chunks!("-1\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a size with a plus", chunks!("+1\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a size with an underscore", chunks!("1_\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("no size", chunks!("\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a size over 64 bits", chunks!("10000000000000001\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a second size", chunks!("1 1\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a bare LF after a size", chunks!("1\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a bare CR after a size", chunks!("1\ra\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a bare LF in an extension", chunks!("1;x\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a bare CR in an extension", chunks!("1;x\ry\r\na\r\n0\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a chunk longer than its size", chunks!("1\r\nab\r\n0\r\n\r\n"), BROKEN, &["POST / t a!"]),
        ("a bare LF after a chunk", chunks!("1\r\na\n0\r\n\r\n"), BROKEN, &["POST / t a!"]),
        ("nothing after a chunk", chunks!("1\r\na0\r\n\r\n"), BROKEN, &["POST / t a!"]),
        ("no line end after the last", chunks!("0\r\nX"), BROKEN, &["POST / t!"]),
        // Trailers are shown apart from the headers, so no name in them can change what a request means.
        ("trailers", chunks!("0\r\nx: y\r\n\r\n"), &[200, 200], &["POST / t trailers 1", LAST]),
        (
            "trailers with names that frame",
            chunks!("0\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\nhost: other\r\n\r\n"),
            &[200, 200],
            &["POST / t trailers 3", LAST],
        ),
        ("a trailer without a colon", chunks!("0\r\nx\r\n\r\n"), BROKEN, &["POST / t!"]),
        ("a trailer with a space before the colon", chunks!("0\r\nx : y\r\n\r\n"), BROKEN, &["POST / t!"]),
    ])
    .await;
}

#[tokio::test]
async fn lines_of_a_head_are_clear_or_the_request_is_refused() {
    check(&[
        ("a folded line", last!("GET / HTTP/1.1\r\nhost: t\r\nx: y\r\n z\r\n\r\n"), &[400], &[]),
        ("a space before the first line", last!("GET / HTTP/1.1\r\n host: t\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a tab before the first line", last!("GET / HTTP/1.1\r\n\thost: t\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a space before a colon", last!("GET / HTTP/1.1\r\nhost : t\r\n\r\n"), &[400], &[]),
        ("no colon", last!("GET / HTTP/1.1\r\nhost: t\r\nx\r\n\r\n"), &[400], &[]),
        ("no name", last!("GET / HTTP/1.1\r\nhost: t\r\n: y\r\n\r\n"), &[400], &[]),
        ("NUL in a value", last!("GET / HTTP/1.1\r\nhost: t\r\nx: a\0b\r\n\r\n"), &[400], &[]),
        ("CR in a value", last!("GET / HTTP/1.1\r\nhost: t\r\nx: a\rb\r\n\r\n"), &[400], &[]),
        ("a control character in a value", last!("GET / HTTP/1.1\r\nhost: t\r\nx: a\x01b\r\n\r\n"), &[400], &[]),
        ("NUL in a name", last!("GET / HTTP/1.1\r\nhost: t\r\nx\0: y\r\n\r\n"), &[400], &[]),
        ("a bracket in a name", last!("GET / HTTP/1.1\r\nhost: t\r\nx[: y\r\n\r\n"), &[400], &[]),
        ("CR alone as a line's end", "GET / HTTP/1.1\rhost: t\r\r", &[400], &[]),
        // "A recipient MAY recognize a single LF as a line terminator" (2.2).
        ("LF alone as a line's end", last!("GET / HTTP/1.1\nhost: t\n\n"), &[200, 200], &["GET / t", LAST]),
        (
            "an empty line before a request",
            last!("\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n"),
            &[200, 200],
            &["GET / t", LAST],
        ),
        (
            "a method in small letters is another",
            last!("get / HTTP/1.1\r\nhost: t\r\n\r\n"),
            &[200, 200],
            &["get / t", LAST],
        ),
        ("a method of no letters", last!("G@T / HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("two spaces in the first line", last!("GET  / HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a tab in the first line", last!("GET\t/ HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a space before the first line", last!(" GET / HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("HTTP/0.9", "GET /\r\n", &[400], &[]),
        ("HTTP/1.2", last!("GET / HTTP/1.2\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("HTTP/2.0 without its preface", last!("GET / HTTP/2.0\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("http in small letters", last!("GET / http/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("HTTP/1.1 with zeros", last!("GET / HTTP/01.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("HTTP/1.0 ends the connection", last!("GET / HTTP/1.0\r\nhost: t\r\n\r\n"), &[200], &["GET / t"]),
    ])
    .await;
}

#[tokio::test]
async fn target_and_host_are_clear_or_the_request_is_refused() {
    check(&[
        ("no host", last!("GET / HTTP/1.1\r\n\r\n"), &[400], &[]),
        ("no host, HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", &[200], &["GET / -"]),
        ("two hosts", last!("GET / HTTP/1.1\r\nhost: t\r\nhost: other\r\n\r\n"), &[400], &[]),
        ("the same host twice", last!("GET / HTTP/1.1\r\nhost: t\r\nHost: t\r\n\r\n"), &[400], &[]),
        ("two hosts, HTTP/1.0", "GET / HTTP/1.0\r\nhost: t\r\nhost: t\r\n\r\n", &[400], &[]),
        ("an empty host", last!("GET / HTTP/1.1\r\nhost:\r\n\r\n"), &[200, 200], &["GET / ", LAST]),
        ("a host with a port", last!("GET / HTTP/1.1\r\nhost: t:80\r\n\r\n"), &[200, 200], &["GET / t:80", LAST]),
        (
            "a host that is an address",
            last!("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"),
            &[200, 200],
            &["GET / [::1]:80", LAST],
        ),
        ("a host with a path", last!("GET / HTTP/1.1\r\nhost: t/x\r\n\r\n"), &[400], &[]),
        ("a host with a user", last!("GET / HTTP/1.1\r\nhost: a@t\r\n\r\n"), &[400], &[]),
        ("a host with a space", last!("GET / HTTP/1.1\r\nhost: t other\r\n\r\n"), &[400], &[]),
        ("a host of other letters", last!("GET / HTTP/1.1\r\nhost: ä\r\n\r\n"), &[400], &[]),
        ("a whole URI", last!("GET http://t/x HTTP/1.1\r\nhost: t\r\n\r\n"), &[200, 200], &["GET http://t/x t", LAST]),
        (
            "a whole URI wins over the host",
            last!("GET http://u:1/x HTTP/1.1\r\nhost: t\r\n\r\n"),
            &[200, 200],
            &["GET http://u:1/x u:1", LAST],
        ),
        ("a whole URI needs a host too", last!("GET http://t/x HTTP/1.1\r\n\r\n"), &[400], &[]),
        ("a whole URI with a user", last!("GET http://a@t/x HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("only an authority", last!("GET t:80 HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("only a word", last!("GET x HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a target with a fragment", last!("GET /x#y HTTP/1.1\r\nhost: t\r\n\r\n"), &[200, 200], &["GET /x t", LAST]),
        ("all of the server", last!("OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n"), &[200, 200], &["OPTIONS * t", LAST]),
        ("all of the server for a GET", last!("GET * HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("CONNECT to a path", last!("CONNECT / HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("CONNECT to a whole URI", last!("CONNECT http://t:80/ HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a target with NUL", last!("GET /\0 HTTP/1.1\r\nhost: t\r\n\r\n"), &[400], &[]),
        ("a target with other letters", last!("GET /ä HTTP/1.1\r\nhost: t\r\n\r\n"), &[200, 200], &["GET /ä t", LAST]),
    ])
    .await;
}
