//! A server whose every step the test decides: it accepts connections, takes calls, answers, refuses, says goodbye.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinHandle};

use crate::support::{HANGS, Note, echo, note};

/// How long something is awaited that should not come.
const SOON: Duration = Duration::from_millis(100);

/// A listener on a free port.
pub(crate) struct Host(TcpListener);

impl Host {
    pub(crate) async fn bind() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        Self(listener)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The endpoint that calls `Echo` here, over these connections.
    pub(crate) fn echo(&self, connections: Connections) -> Connected<Connections, Prost, Note, Note> {
        GrpcClient::with_connections(self.url(), connections).unwrap().endpoint(echo())
    }

    /// The next connection, as it is.
    pub(crate) async fn accept_raw(&self) -> TcpStream {
        tokio::time::timeout(HANGS, self.0.accept()).await.expect("a connection").unwrap().0
    }

    /// Whether somebody waits for a connection.
    pub(crate) async fn is_asked(&self) -> bool {
        tokio::time::timeout(SOON, self.0.accept()).await.is_ok()
    }

    pub(crate) async fn accept(&self) -> Line {
        self.accept_with(&Builder::new()).await
    }

    pub(crate) async fn accept_with(&self, builder: &Builder) -> Line {
        Line::over(builder.handshake(self.accept_raw().await).await.unwrap())
    }
}

/// One connection, seen by the server. Dropped, it is cut.
pub(crate) struct Line {
    calls: UnboundedReceiver<Call>,
    orders: UnboundedSender<Order>,
    driver: JoinHandle<()>,
}

enum Order {
    Goodbye,
    GoAway(Reason),
}

/// A call that has arrived.
pub(crate) struct Call {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

impl Line {
    pub(crate) fn over(mut connection: Connection<TcpStream, Bytes>) -> Self {
        let (arrived, calls) = unbounded_channel();
        let (orders, mut ordered) = unbounded_channel();
        let driver = tokio::spawn(async move {
            loop {
                tokio::select! {
                    call = connection.accept() => match call {
                        Some(Ok((request, respond))) => { let _ = arrived.send(Call { request, respond }); }
                        Some(Err(_)) | None => return,
                    },
                    Some(order) = ordered.recv() => match order {
                        Order::Goodbye => connection.graceful_shutdown(),
                        Order::GoAway(reason) => connection.abrupt_shutdown(reason),
                    },
                }
            }
        });
        Self { calls, orders, driver }
    }

    /// The next call.
    pub(crate) async fn call(&mut self) -> Call {
        tokio::time::timeout(HANGS, self.calls.recv()).await.expect("a call").expect("an open connection")
    }

    /// The next call, unless the connection ends.
    pub(crate) async fn next(&mut self) -> Option<Call> {
        self.calls.recv().await
    }

    /// Whether another call is here.
    pub(crate) async fn is_called(&mut self) -> bool {
        tokio::time::timeout(SOON, self.calls.recv()).await.is_ok_and(|call| call.is_some())
    }

    /// `GOAWAY`, and the connection ends when its calls have.
    pub(crate) fn say_goodbye(&self) {
        let _ = self.orders.send(Order::Goodbye);
    }

    /// `GOAWAY` with the last stream that has arrived, and the end.
    pub(crate) fn go_away(&self, reason: Reason) {
        let _ = self.orders.send(Order::GoAway(reason));
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(mut self) {
        tokio::time::timeout(HANGS, &mut self.driver).await.expect("the end of the connection").unwrap();
    }

    /// What cuts the connection.
    pub(crate) fn knife(&self) -> AbortHandle {
        self.driver.abort_handle()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Call {
    /// What it says, in its text.
    pub(crate) async fn text(&mut self) -> String {
        let frame = self.request.body_mut().data().await.unwrap().unwrap();
        Note::decode(&frame[5..]).unwrap().text
    }

    /// How long the client says that it waits.
    pub(crate) fn timeout(&self) -> Duration {
        let timeout = self.request.headers()["grpc-timeout"].to_str().unwrap();
        timeout.parse::<kit_base::Timeout>().unwrap().0
    }

    /// The head of an answer, and its first bytes.
    pub(crate) fn begin(&mut self) -> h2::SendStream<Bytes> {
        let mut head = Response::new(());
        head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let mut stream = self.respond.send_response(head, false).unwrap();
        stream.send_data(Bytes::from_static(&[0, 0]), false).unwrap();
        stream
    }

    pub(crate) fn answer(mut self, text: &str) {
        let mut head = Response::new(());
        head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        // A client that has left wants no answer.
        let Ok(mut stream) = self.respond.send_response(head, false) else { return };
        let message = note(text).encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        let _ = stream.send_data(frame.into(), false);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _ = stream.send_trailers(trailers);
    }

    /// Waits until the client has left it: why.
    pub(crate) async fn left(&mut self) -> Reason {
        let reset = std::future::poll_fn(|cx| self.respond.poll_reset(cx));
        tokio::time::timeout(HANGS, reset).await.expect("a reset").unwrap()
    }

    /// Whether the client has left it, soon at the latest.
    pub(crate) async fn left_already(&mut self) -> bool {
        let reset = std::future::poll_fn(|cx| self.respond.poll_reset(cx));
        tokio::time::timeout(SOON, reset).await.is_ok()
    }

    pub(crate) fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }
}
