//! A server that ends its connection, and says by GOAWAY which calls it has begun. Source: RFC 9113, section 6.8.

use kit_base::{Endpoint as _, Kind, Origin, Request};
use kit_transport_grpc::GrpcClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Note, echo, note};

/// Waits for the first call, and ends the connection with this as the last stream that was begun.
async fn call_of_a_server_that_leaves(last: u8) -> (Kind, Origin) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = GrpcClient::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let leaving = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            // HEADERS.
            if head[3] == 1 {
                break;
            }
        }
        stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]).await.unwrap();
        stream.shutdown().await.unwrap();
        // Closed over what is unread, the connection would be reset, and the client might not read the GOAWAY.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    let call = client.endpoint::<Note, Note>(echo());
    let (outcome, ()) = tokio::join!(call.call(Request::new(note(""))), leaving);
    let error = outcome.expect_err("no answer came");
    (error.kind(), error.origin())
}

#[tokio::test]
async fn a_call_that_the_server_has_not_begun_did_not_start() {
    assert_eq!(call_of_a_server_that_leaves(0).await, (Kind::Unavailable, Origin::NotSent));
}

#[tokio::test]
async fn a_call_that_the_server_may_have_begun_is_not_said_to_be_unsent() {
    assert_eq!(call_of_a_server_that_leaves(1).await, (Kind::Unavailable, Origin::Remote));
}
