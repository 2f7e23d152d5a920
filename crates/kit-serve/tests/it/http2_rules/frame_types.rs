//! Section 6: what each type of frame may and may not be, where 5.1 has not said it.

use super::{Answer, GoAway, Nothing, Reset, all, case, case_then};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, GOAWAY, HEADERS,
    PADDED, PING, PROTOCOL_ERROR, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, data, frame, get, post,
    setting, window_update,
};
use crate::support::bind;

const WHOLE: u8 = END_STREAM | END_HEADERS;

#[tokio::test]
async fn frames_of_messages_are_as_in_rfc_9113_section_6() {
    let padded = |length: u8, rest: &[u8]| [&[length][..], rest].concat();
    let cases = vec![
        case("6.1", "DATA on stream 0", data(0, 0, "x"), GoAway(PROTOCOL_ERROR)),
        case("6.1", "padding", [post(1), frame(DATA, PADDED | 1, 1, padded(2, b"x\0\0"))].concat(), Answer(1, 200)),
        case("6.1", "only padding", [post(1), frame(DATA, PADDED | 1, 1, padded(2, b"\0\0"))].concat(), Answer(1, 200)),
        case(
            "6.1",
            "padding as long as the payload",
            [post(1), frame(DATA, PADDED | 1, 1, padded(3, b"\0\0"))].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "6.1",
            "no length of the padding",
            [post(1), frame(DATA, PADDED, 1, [])].concat(),
            GoAway(FRAME_SIZE_ERROR),
        ),
        case("6.2", "HEADERS on stream 0", frame(HEADERS, WHOLE, 0, GET), GoAway(PROTOCOL_ERROR)),
        case("6.2", "padding", frame(HEADERS, WHOLE | PADDED, 1, padded(2, &[GET, b"\0\0"].concat())), Answer(1, 200)),
        case(
            "6.2",
            "padding and priority",
            frame(HEADERS, WHOLE | PADDED | WITH_PRIORITY, 1, padded(2, &[b"\0\0\0\0\x10", GET, b"\0\0"].concat())),
            Answer(1, 200),
        ),
        case("6.2", "padding over the end", frame(HEADERS, WHOLE | PADDED, 1, padded(99, GET)), GoAway(PROTOCOL_ERROR)),
        case(
            "6.6",
            "a client may not promise",
            frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2], GET].concat()),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "6.10",
            "a field block of many pieces, some of them empty",
            [
                frame(HEADERS, END_STREAM, 1, &GET[..1]),
                frame(CONTINUATION, 0, 1, &GET[1..4]),
                frame(CONTINUATION, 0, 1, []),
                frame(CONTINUATION, END_HEADERS, 1, &GET[4..]),
            ]
            .concat(),
            Answer(1, 200),
        ),
        case(
            "6.10",
            "CONTINUATION on stream 0",
            [frame(HEADERS, 1, 1, GET), frame(CONTINUATION, 4, 0, [])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "6.10",
            "CONTINUATION after a whole block",
            [post(1), frame(CONTINUATION, 4, 1, [])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
        case(
            "6.10",
            "CONTINUATION after DATA",
            [post(1), data(0, 1, "x"), frame(CONTINUATION, 4, 1, [])].concat(),
            GoAway(PROTOCOL_ERROR),
        ),
    ];
    all(bind().await, cases).await;
}

#[tokio::test]
async fn frames_of_the_connection_are_as_in_rfc_9113_section_6() {
    let goaway =
        |stream, last: u32, code: u32| frame(GOAWAY, 0, stream, [last.to_be_bytes(), code.to_be_bytes()].concat());
    let twice =
        [&1_u16.to_be_bytes()[..], &0_u32.to_be_bytes(), &1_u16.to_be_bytes(), &4096_u32.to_be_bytes()].concat();
    let cases = vec![
        case("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1, []), GoAway(PROTOCOL_ERROR)),
        case("6.5", "SETTINGS have a multiple of 6 bytes", frame(SETTINGS, 0, 0, [0; 5]), GoAway(FRAME_SIZE_ERROR)),
        case("6.5", "a confirmation has no payload", frame(SETTINGS, ACK, 0, [0; 6]), GoAway(FRAME_SIZE_ERROR)),
        case("6.5.2", "ENABLE_PUSH is 0 or 1", setting(2, 2), GoAway(PROTOCOL_ERROR)),
        case("6.5.2", "ENABLE_PUSH of 0", setting(2, 0), Nothing),
        case("6.5.2", "INITIAL_WINDOW_SIZE below 2^31", setting(4, 1 << 31), GoAway(FLOW_CONTROL_ERROR)),
        case("6.5.2", "the largest INITIAL_WINDOW_SIZE", setting(4, (1 << 31) - 1), Nothing),
        case("6.5.2", "MAX_FRAME_SIZE of 2^14 at least", setting(5, (1 << 14) - 1), GoAway(PROTOCOL_ERROR)),
        case("6.5.2", "MAX_FRAME_SIZE below 2^24", setting(5, 1 << 24), GoAway(PROTOCOL_ERROR)),
        case("6.5.2", "MAX_CONCURRENT_STREAMS of 0 is about pushes", [setting(3, 0), get(1)].concat(), Answer(1, 200)),
        case("6.5.2", "unknown settings are ignored", setting(0xff, 1), Nothing),
        case("6.5.3", "the same setting twice", [frame(SETTINGS, 0, 0, twice), get(1)].concat(), Answer(1, 200)),
        case("6.7", "PING on a stream", frame(PING, 0, 1, [0; 8]), GoAway(PROTOCOL_ERROR)),
        case("6.7", "PING has 8 bytes", frame(PING, 0, 0, [0; 6]), GoAway(FRAME_SIZE_ERROR)),
        case("6.7", "a confirmation nobody asked for", frame(PING, ACK, 0, [0; 8]), Nothing),
        case("6.8", "GOAWAY on a stream", goaway(1, 0, 0), GoAway(PROTOCOL_ERROR)),
        case("6.8", "GOAWAY has 8 bytes at least", frame(GOAWAY, 0, 0, [0; 7]), GoAway(FRAME_SIZE_ERROR)),
        case("6.9", "WINDOW_UPDATE of 0 for the connection", window_update(0, 0), GoAway(PROTOCOL_ERROR)),
        case(
            "6.9",
            "WINDOW_UPDATE of 0 for a stream",
            [post(1), window_update(1, 0)].concat(),
            Reset(1, PROTOCOL_ERROR),
        ),
        case("6.9", "WINDOW_UPDATE has 4 bytes", frame(WINDOW_UPDATE, 0, 0, [0, 0, 1]), GoAway(FRAME_SIZE_ERROR)),
        case(
            "6.9.1",
            "a window of the connection over 2^31 - 1",
            window_update(0, (1 << 31) - 1),
            GoAway(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.1",
            "a window of a stream over 2^31 - 1",
            [post(1), window_update(1, (1 << 31) - 1)].concat(),
            Reset(1, FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.2",
            "a window over 2^31 - 1 by SETTINGS",
            [post(1), window_update(1, 1 << 20), setting(4, (1 << 31) - 1)].concat(),
            GoAway(FLOW_CONTROL_ERROR),
        ),
        case_then("7", "an unknown code in GOAWAY means nothing more", get(1), window_update(0, 1), Nothing),
    ];
    all(bind().await, cases).await;
}
