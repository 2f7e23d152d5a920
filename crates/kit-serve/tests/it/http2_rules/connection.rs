//! Sections 3 to 5.5, without the states of streams: preface, frames as such, errors.

use super::{Answer, GoAway, Http1, Nothing, all, case, case_raw};
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, Frames, GET, HEADERS, PING, PREFACE, PRIORITY,
    PROTOCOL_ERROR, SETTINGS, Sent, data, frame, get, post,
};
use crate::support::{bind, hello, start};
use tower::service_fn;

#[tokio::test]
async fn the_preface_and_the_frame_layer_are_as_in_rfc_9113_sections_3_to_5() {
    let settings = frame(SETTINGS, 0, 0, []);
    let cases = vec![
        case("3.4", "a preface and empty SETTINGS begin a connection", get(1), Answer(1, 200)),
        case_raw("3.4", "a preface that goes wrong is no HTTP/2", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Http1(400)),
        case_raw("3.4", "a frame without a preface is no HTTP/2", settings.clone(), Http1(400)),
        case_raw(
            "3.4",
            "frames may follow the preface at once",
            [PREFACE, &settings, &get(1)].concat(),
            Answer(1, 200),
        ),
        case("4.1", "a frame of an unknown type is ignored", frame(0x16, 0, 0, [0; 8]), Nothing),
        case("4.1", "so is one on a stream that was never opened", frame(0x16, 0xff, 99, [0; 8]), Nothing),
        case("4.1", "flags without meaning are ignored", frame(PING, 0xfe, 0, [0; 8]), Nothing),
        case("4.1", "the reserved bit is ignored", frame(PING, 0, 1 << 31, [0; 8]), Nothing),
        case(
            "4.1",
            "also in the id of a request's stream",
            frame(HEADERS, END_STREAM | END_HEADERS, 1 | 1 << 31, GET),
            Answer(1, 200),
        ),
        case("4.2", "DATA of 2^14 bytes is taken", [post(1), data(END_STREAM, 1, [0; 16384])].concat(), Answer(1, 200)),
        case(
            "4.2",
            "DATA over 2^14 bytes is not",
            [post(1), data(0, 1, [0; 16385])].concat(),
            GoAway(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2",
            "HEADERS over 2^14 bytes are not",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, [GET, &[0x82; 16384]].concat()),
            GoAway(FRAME_SIZE_ERROR),
        ),
        case("4.2", "SETTINGS over 2^14 bytes are not", frame(SETTINGS, 0, 0, [0; 16386]), GoAway(FRAME_SIZE_ERROR)),
        case("4.2", "unknown frames over 2^14 bytes are not", frame(0x16, 0, 0, [0; 16385]), GoAway(FRAME_SIZE_ERROR)),
        case(
            "4.3",
            "PRIORITY may not part a field block",
            [frame(HEADERS, END_STREAM, 1, GET), frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "4.3",
            "another stream's HEADERS may not part a field block",
            [frame(HEADERS, END_STREAM, 1, GET), get(3)].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "4.3",
            "another stream's CONTINUATION does not end a field block",
            [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, END_HEADERS, 3, [])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "4.3",
            "DATA may not part a field block",
            [post(1), frame(HEADERS, END_STREAM, 3, GET), frame(DATA, 0, 1, [])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "5.5",
            "an unknown frame may not part a field block",
            [frame(HEADERS, END_STREAM, 1, GET), frame(0x16, 0, 0, []), frame(CONTINUATION, END_HEADERS, 1, [])]
                .concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "5.5",
            "an unknown frame may stand between a head and its body",
            [post(1), frame(0x16, 0, 1, [1, 2, 3]), data(END_STREAM, 1, "x")].concat(),
            Answer(1, 200),
        ),
    ];
    all(bind().await, cases).await;
}

#[tokio::test]
async fn the_server_begins_with_settings_and_confirms_those_of_the_client() {
    let server = start!(bind().await, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    assert_eq!(frames.next().await, Sent::Settings { ack: false });
    assert_eq!(frames.until(|sent| *sent == Sent::Settings { ack: true }).await, Sent::Settings { ack: true });
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload() {
    let server = start!(bind().await, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    frames.send(frame(PING, 0, 0, b"12345678")).await;
    assert_eq!(frames.until(|sent| matches!(sent, Sent::Pong(_))).await, Sent::Pong(b"12345678".to_vec()));
}
