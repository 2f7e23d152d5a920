//! Section 6.9: how much the server sends, and how much it takes.

use std::convert::Infallible;

use http::Request;
use kit_serve::RequestBody;
use tower::service_fn;

use crate::frames::{FLOW_CONTROL_ERROR, Frames, GOAWAY, PING, Sent, data, frame, get, post, setting, window_update};
use crate::support::{bind, hello, start, text};

/// The lengths of the DATA frames on stream 1 that arrive before the answer to the next PING.
async fn lengths(frames: &mut Frames) -> Vec<usize> {
    let mut lengths = Vec::new();
    // The second PING comes when the first is answered, so whatever could be sent has been sent.
    for payload in [b"one time", b"and once"] {
        frames.send(frame(PING, 0, 0, payload)).await;
        loop {
            match frames.next().await {
                Sent::Data { length, .. } => lengths.push(length),
                Sent::Pong(pong) if pong == payload => break,
                Sent::End => panic!("the connection ended"),
                _ => {}
            }
        }
    }
    lengths
}

#[tokio::test]
async fn the_server_sends_no_more_than_the_client_s_windows_allow() {
    let server = start!(bind().await, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    frames.send([setting(4, 1), get(1)].concat()).await;
    frames.until(|sent| matches!(sent, Sent::Head { stream: 1, .. })).await;
    assert_eq!(lengths(&mut frames).await.iter().sum::<usize>(), 1);
    // A smaller window than was used already makes it negative (6.9.2): nothing until it is positive again.
    frames.send([setting(4, 0), window_update(1, 1)].concat()).await;
    assert_eq!(lengths(&mut frames).await.iter().sum::<usize>(), 0);
    frames.send(window_update(1, 2)).await;
    assert_eq!(lengths(&mut frames).await.iter().sum::<usize>(), 2);
    frames.send(setting(4, 100)).await;
    assert_eq!(lengths(&mut frames).await.iter().sum::<usize>(), 2);
}

#[tokio::test]
async fn the_window_of_the_connection_holds_for_all_streams_together() {
    let server = start!(
        bind().await,
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(text(vec![0; 50_000])) })
    );
    let mut frames = Frames::connect(server.addr).await;
    frames.send([get(1), get(3)].concat()).await;
    for _ in 0..2 {
        frames.until(|sent| matches!(sent, Sent::Head { .. })).await;
    }
    let mut all = lengths(&mut frames).await.iter().sum::<usize>();
    // The two heads may have come after bytes that were then not counted, so ask for the rest and see that it comes.
    frames.send(window_update(0, 100_000)).await;
    while all < 100_000 - 65_535 {
        all += lengths(&mut frames).await.iter().sum::<usize>();
    }
}

#[tokio::test]
async fn a_client_that_sends_more_than_the_windows_allow_is_stopped() {
    // The service reads nothing, so no window opens again.
    let server = start!(
        bind().await,
        service_fn(|request: Request<RequestBody>| async move {
            let _unread = request;
            std::future::pending::<Result<http::Response<crate::support::Body>, Infallible>>().await
        })
    );
    for streams in [1, 4] {
        let mut frames = Frames::connect(server.addr).await;
        for stream in 0..streams {
            frames.send(post(2 * stream + 1)).await;
        }
        for number in 0..70 {
            frames.send(data(0, 2 * (number % streams) + 1, [0; 16384])).await;
        }
        let sent = frames.until(|sent| matches!(sent, Sent::GoAway { .. } | Sent::Reset { .. })).await;
        let code = match sent {
            Sent::GoAway { code } | Sent::Reset { code, .. } => code,
            sent => panic!("{sent:?}"),
        };
        assert_eq!(code, FLOW_CONTROL_ERROR);
    }
}

#[tokio::test]
async fn after_a_goaway_of_the_client_its_running_requests_are_answered_and_the_connection_ends() {
    let server = start!(bind().await, service_fn(crate::support::echo));
    let mut frames = Frames::connect(server.addr).await;
    frames.send([post(1), frame(GOAWAY, 0, 0, [0; 8])].concat()).await;
    frames.send(data(1, 1, "the end")).await;
    assert_eq!(frames.until(|sent| matches!(sent, Sent::Head { .. })).await, Sent::Head { stream: 1, status: 200 });
    assert_eq!(frames.until(|sent| matches!(sent, Sent::Data { .. })).await, Sent::Data { stream: 1, length: 7 });
    assert_eq!(frames.until(|sent| *sent == Sent::End).await, Sent::End);
}
