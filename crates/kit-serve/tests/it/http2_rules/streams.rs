//! Sections 5.1 to 5.3: the states of streams, their ids and their number.

use std::num::NonZeroU32;

use super::{Answer, GoAway, Nothing, Reset, all, case, case_then};
use crate::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, GET, HEADERS, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM,
    RST_STREAM, STREAM_CLOSED, WITH_PRIORITY, data, frame, get, post, reset, window_update,
};
use crate::support::bind;

#[tokio::test]
async fn the_states_of_streams_are_as_in_rfc_9113_section_5_1() {
    let cases = vec![
        case("5.1", "idle: DATA", data(END_STREAM, 1, "x"), GoAway(PROTOCOL_ERROR)),
        case("5.1", "idle: RST_STREAM", reset(1), GoAway(PROTOCOL_ERROR)),
        case("5.1", "idle: WINDOW_UPDATE", window_update(1, 1), GoAway(PROTOCOL_ERROR)),
        case("5.1", "idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, GET), GoAway(PROTOCOL_ERROR)),
        case("5.1", "idle: PRIORITY", frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]), Nothing),
        case("5.1", "open: RST_STREAM ends it", [post(1), reset(1)].concat(), Nothing),
        case("5.1", "open: WINDOW_UPDATE", [post(1), window_update(1, 9), data(1, 1, "x")].concat(), Answer(1, 200)),
        case_then("5.1", "closed: PRIORITY", get(1), frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]), Nothing),
        case_then("5.1", "closed: WINDOW_UPDATE soon after", get(1), window_update(1, 1), Nothing),
        case_then("5.1", "closed: RST_STREAM soon after", get(1), reset(1), Nothing),
        case_then(
            "5.1",
            "closed: CONTINUATION",
            get(1),
            frame(CONTINUATION, END_HEADERS, 1, GET),
            GoAway(PROTOCOL_ERROR),
        ),
        case_then("5.1", "closed: DATA", get(1), data(END_STREAM, 1, "x"), GoAway(STREAM_CLOSED)),
        case("5.1", "half closed: DATA", [get(1), data(END_STREAM, 1, "x")].concat(), Reset(1, STREAM_CLOSED)),
        case_then("5.1", "closed: HEADERS", get(1), get(1), GoAway(STREAM_CLOSED)),
        case("5.1", "reset by the client: HEADERS", [post(1), reset(1), get(1)].concat(), Reset(1, STREAM_CLOSED)),
        case(
            "5.1",
            "reset by the client: DATA",
            [post(1), reset(1), data(1, 1, "x")].concat(),
            Reset(1, STREAM_CLOSED),
        ),
    ];
    all(bind().await, cases).await;
}

#[tokio::test]
async fn ids_and_numbers_of_streams_are_as_in_rfc_9113_section_5_1() {
    let prior = |stream: u32, depends: u32| {
        let priority = [&depends.to_be_bytes()[..], &[16], GET].concat();
        frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, stream, priority)
    };
    let cases = vec![
        case("5.1.1", "a client may not use even ids", get(2), GoAway(PROTOCOL_ERROR)),
        case("5.1.1", "there is no request on stream 0", get(0), GoAway(PROTOCOL_ERROR)),
        case("5.1.1", "ids may leave numbers out", get(7), Answer(7, 200)),
        case("5.1.1", "ids only grow", [post(5), get(3)].concat(), GoAway(PROTOCOL_ERROR)),
        case(
            "5.1.2",
            "a stream over the limit is refused",
            [post(1), post(3), get(5), reset(1), reset(3)].concat(),
            Reset(5, REFUSED_STREAM),
        ),
        case(
            "5.1.2",
            "a stream that ended makes room",
            [post(1), post(3), reset(1), reset(3), get(5)].concat(),
            Answer(5, 200),
        ),
        case("5.3", "a priority in HEADERS is read over", prior(1, 0), Answer(1, 200)),
        case("5.3", "on any stream", prior(3, 99), Answer(3, 200)),
        // RFC 7540, 5.3.1; RFC 9113 has no priorities left.
        case("5.3", "a stream that depends on itself", prior(1, 1), Reset(1, PROTOCOL_ERROR)),
        case(
            "5.3",
            "PRIORITY of a stream that depends on itself",
            frame(PRIORITY, 0, 1, [0, 0, 0, 1, 16]),
            Reset(1, PROTOCOL_ERROR),
        ),
        case(
            "6.3",
            "PRIORITY has 5 bytes",
            [post(1), frame(PRIORITY, 0, 1, [0; 4])].concat(),
            Reset(1, FRAME_SIZE_ERROR),
        ),
        case("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, [0, 0, 0, 1, 1]), GoAway(PROTOCOL_ERROR)),
        case("6.4", "RST_STREAM on stream 0", reset(0), GoAway(PROTOCOL_ERROR)),
        case(
            "6.4",
            "RST_STREAM has 4 bytes",
            [post(1), frame(RST_STREAM, 0, 1, [0; 3])].concat(),
            GoAway(FRAME_SIZE_ERROR),
        ),
        case(
            "7",
            "an unknown code in RST_STREAM means nothing",
            [post(1), frame(RST_STREAM, 0, 1, [0xff; 4])].concat(),
            Nothing,
        ),
    ];
    all(bind().await.streams(NonZeroU32::new(2).unwrap()), cases).await;
}
