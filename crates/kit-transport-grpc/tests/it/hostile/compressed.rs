//! Compressed requests: what is no such thing, and bombs. Source: gRPC, "Compression".

use http::Request;
use kit_base::Response;

use super::peer::{Peer, frame, request};
use crate::support::{echoing, note, serve};

fn compressed_by(coding: &'static str) -> Request<()> {
    let mut request = request();
    request.headers_mut().insert("grpc-encoding", coding.try_into().expect("a value"));
    request
}

#[tokio::test]
async fn a_compression_that_is_not_known_is_unimplemented_with_those_that_are() {
    let server = serve(echoing(async |_| Ok(Response::new(note(""))))).await;
    let peer = Peer::connect(server.addr).await;
    let accepted = if cfg!(feature = "gzip") { "gzip,identity" } else { "identity" };
    let long: &'static str = "x".repeat(1000).leak();
    for coding in ["br", "GZIP", "gzip, gzip", "identity,gzip", "", long] {
        let answer = peer.call(compressed_by(coding), vec![frame(1, b"")]).await.expect("an answer");
        let shown = &coding[..coding.len().min(64)];
        let text = format!("messages compressed by {shown:?} are not supported: want one of {accepted}");
        assert_eq!((answer.code(), answer.text()), (Some("12"), text), "{answer:?}");
        assert_eq!(answer.head.headers()["grpc-accept-encoding"], accepted, "{answer:?}");
    }
    // It says how messages are compressed that are.
    let answer = peer.call(compressed_by("identity"), vec![frame(0, b"")]).await.expect("an answer");
    assert_eq!(answer.code(), Some("0"), "{answer:?}");
    let answer = peer.call(compressed_by("identity"), vec![frame(1, b"")]).await.expect("an answer");
    let text = "a message is compressed, and no grpc-encoding says how";
    assert_eq!((answer.code(), answer.text().as_str()), (Some("13"), text), "{answer:?}");
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use prost::Message;

    use super::*;
    use crate::hostile::peer::framed;
    use crate::support::Note;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("room");
        encoder.finish().expect("room")
    }

    #[tokio::test]
    async fn what_is_not_gzip_is_an_internal_error() {
        let server = serve(echoing(async |request| Ok(Response::new(request.into_message())))).await;
        let peer = Peer::connect(server.addr).await;
        let whole = packed(&note("hi").encode_to_vec());
        let mut damaged = whole.clone();
        *damaged.last_mut().expect("a byte") ^= 1;
        let mut wrong_sum = whole.clone();
        wrong_sum[whole.len() - 8] ^= 1;
        let cases = [
            ("nothing", vec![]),
            ("garbage", b"garbage, and no gzip".to_vec()),
            ("a head", whole[..10].to_vec()),
            ("half", whole[..whole.len() - 9].to_vec()),
            ("without its end", whole[..whole.len() - 1].to_vec()),
            ("of a wrong length", damaged),
            ("of a wrong sum", wrong_sum),
            ("with garbage behind it", [&whole[..], b"garbage"].concat()),
        ];
        for (case, bytes) in cases {
            let answer = peer.call(compressed_by("gzip"), vec![frame(1, &bytes)]).await.expect("an answer");
            assert_eq!(answer.code(), Some("13"), "{case}: {answer:?}");
            let text = answer.text();
            assert!(text.starts_with("a message cannot be decompressed: "), "{case}: {text}");
        }
        // In one part, in two (RFC 1952, 2.2), and not at all, as the flag says.
        let two = [packed(&note("hi").encode_to_vec()[..2]), packed(&note("hi").encode_to_vec()[2..])].concat();
        for body in [frame(1, &whole), frame(1, &two), framed("hi")] {
            let answer = peer.call(compressed_by("gzip"), vec![body]).await.expect("an answer");
            assert_eq!((answer.code(), answer.data.as_slice()), (Some("0"), &framed("hi")[..]), "{answer:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_bomb_is_unpacked_to_the_limit_and_no_further() {
        if !kit_testing::memory::alone("hostile::compressed::gzip::a_bomb_is_unpacked_to_the_limit_and_no_further") {
            return;
        }
        let server = serve(echoing(async |request| Ok(Response::new(request.into_message())))).await;
        let peer = Peer::connect(server.addr).await;
        // 1 GiB in 1 MiB, in the thousand members that gzip allows; and 16 MiB in one.
        let bombs = [packed(&vec![0; 1 << 20]).repeat(1024), packed(&vec![0; 16 << 20])];
        let growth = kit_testing::memory::Growth::new();
        for bomb in bombs {
            assert!(bomb.len() < 2 << 20, "{}", bomb.len());
            let answer = peer.call(compressed_by("gzip"), vec![frame(1, &bomb)]).await.expect("an answer");
            let text = "a message unpacks to more than 4194304 bytes";
            assert_eq!((answer.code(), answer.text().as_str()), (Some("8"), text), "{answer:?}");
        }
        assert!(growth.most() < 24 << 20, "{} bytes", growth.most());
        // What just fits still does.
        let fits = Note { text: String::new(), payload: vec![0; (4 << 20) - 5] };
        let body = frame(1, &packed(&fits.encode_to_vec()));
        let answer = peer.call(compressed_by("gzip"), vec![body]).await.expect("an answer");
        assert_eq!((answer.code(), answer.data.len()), (Some("0"), 5 + (4 << 20)));
    }
}
