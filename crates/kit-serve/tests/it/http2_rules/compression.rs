//! RFC 7541: the compression of fields.

use super::{Answer, GoAway, all, case, request};
use crate::frames::{COMPRESSION_ERROR, END_HEADERS, END_STREAM, GET, HEADERS, frame, get, setting};
use crate::support::bind;

const BROKEN: super::Outcome = GoAway(COMPRESSION_ERROR);

#[tokio::test]
async fn compressed_fields_are_as_in_rfc_7541() {
    let with = |field: &[u8]| request(&[GET, field]);
    let twice = |first: &[u8], second: &[u8]| {
        let whole = END_STREAM | END_HEADERS;
        let (first, second) = ([GET, first].concat(), [GET, second].concat());
        [frame(HEADERS, whole, 1, first), frame(HEADERS, whole, 3, second)].concat()
    };
    let cases = vec![
        case("2.3.2", "an entry that was put into the table", twice(b"\x40\x01x\x01y", b"\xbe"), Answer(3, 200)),
        case("2.3.3", "an index beyond both tables", with(b"\xbe"), BROKEN),
        case("2.3.3", "the name of an entry beyond both tables", with(b"\x7e\x01y"), BROKEN),
        case("4.2", "a new size of the table at the beginning", request(&[b"\x20", GET]), Answer(1, 200)),
        case("4.2", "a new size of the table after a field", with(b"\x20"), BROKEN),
        case(
            "4.3",
            "what was forgotten cannot be named",
            [
                frame(HEADERS, END_STREAM | END_HEADERS, 1, [GET, b"\x40\x01x\x01y"].concat()),
                frame(HEADERS, END_STREAM | END_HEADERS, 3, [b"\x20\x3f\xe1\x1f", GET, b"\xbe"].concat()),
            ]
            .concat(),
            BROKEN,
        ),
        case("5.1", "an integer without an end", with(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), BROKEN),
        case("5.1", "an integer that is cut off", with(b"\xff\x80"), BROKEN),
        case("5.2", "a text longer than the block", with(b"\x00\x01x\x09y"), BROKEN),
        case(
            "5.2",
            "a text by Huffman's code",
            request(&[b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"]),
            Answer(1, 200),
        ),
        case("5.2", "padding of a whole byte", with(b"\x00\x01x\x82\xf5\xff\xff"), BROKEN),
        case("5.2", "padding other than ones", with(b"\x00\x01x\x81\xf4"), BROKEN),
        case("5.2", "the end of text within a text", with(b"\x00\x01x\x84\xff\xff\xff\xff"), BROKEN),
        case("6.1", "index 0", with(b"\x80"), BROKEN),
        case("6.3", "a table larger than allowed", request(&[b"\x3f\xe2\x1f", GET]), BROKEN),
        case("6.3", "a table as large as allowed", request(&[b"\x3f\xe1\x1f", GET]), Answer(1, 200)),
        case("6.2.3", "a field that must never be indexed", with(b"\x10\x01x\x01y"), Answer(1, 200)),
        case("6.5.2 (RFC 9113)", "a client without a table", [setting(1, 0), get(1)].concat(), Answer(1, 200)),
    ];
    all(bind().await, cases).await;
}
