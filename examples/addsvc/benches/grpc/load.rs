//! A closed loop of calls on kept connections: the same bytes to every server, by HTTP/2 alone.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::service::{CALL, SumReply};

/// Connections that are open, each of which has been answered once.
#[derive(Debug)]
pub(crate) struct Connections {
    runtime: Runtime,
    senders: Vec<SendRequest<Bytes>>,
    call: Call,
}

/// What is sent.
#[derive(Clone, Debug)]
struct Call {
    url: String,
    message: Bytes,
}

impl Connections {
    pub(crate) fn open(addr: SocketAddr, count: usize) -> Result<Self, Box<dyn Error>> {
        let mut message = vec![0, 0, 0, 0, CALL.encoded_len() as u8];
        CALL.encode(&mut message)?;
        let call = Call { url: format!("http://{addr}/pb.Add/Sum"), message: message.into() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let senders = runtime.block_on(async {
            let mut senders = Vec::with_capacity(count);
            for _ in 0..count {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = h2::client::handshake(stream).await?;
                tokio::spawn(connection);
                let mut sender = sender.ready().await?;
                let answer = call.make(&mut sender).await?;
                let reply = SumReply::decode(answer.get(5..).unwrap_or_default())?;
                if reply.v != CALL.a + CALL.b {
                    return Err(format!("a server answered {reply:?}").into());
                }
                senders.push(sender);
            }
            Ok::<_, Box<dyn Error>>(senders)
        })?;
        Ok(Self { runtime, senders, call })
    }

    /// So many calls on the first connection, one after the other.
    pub(crate) fn requests(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let Self { runtime, senders, call } = self;
        runtime.block_on(async {
            for _ in 0..count {
                call.make(&mut senders[0]).await?;
            }
            Ok(())
        })
    }

    /// Calls on all connections for this long, so many at once on each; how many were answered, and in what time.
    pub(crate) fn saturate(self, at_once: usize, time: Duration) -> Result<(u64, Duration), Box<dyn Error>> {
        let Self { runtime, senders, call } = self;
        runtime.block_on(async {
            let start = Instant::now();
            let mut loops = JoinSet::new();
            for sender in senders.iter().flat_map(|sender| std::iter::repeat_n(sender, at_once)) {
                let (mut sender, call) = (sender.clone(), call.clone());
                loops.spawn(async move {
                    let mut answered = 0;
                    while start.elapsed() < time {
                        call.make(&mut sender).await?;
                        answered += 1;
                    }
                    Ok::<u64, h2::Error>(answered)
                });
            }
            let mut total = 0;
            while let Some(answered) = loops.join_next().await {
                total += answered??;
            }
            Ok((total, start.elapsed()))
        })
    }
}

impl Call {
    /// Makes the call, and reads its answer to the end of the trailers.
    async fn make(&self, sender: &mut SendRequest<Bytes>) -> Result<Vec<u8>, h2::Error> {
        let request = http::Request::post(&*self.url)
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|_| h2::Error::from(h2::Reason::INTERNAL_ERROR))?;
        let (answer, mut stream) = sender.send_request(request, false)?;
        stream.send_data(self.message.clone(), true)?;
        let mut body = answer.await?.into_body();
        let mut message = Vec::new();
        while let Some(data) = body.data().await.transpose()? {
            body.flow_control().release_capacity(data.len())?;
            message.extend_from_slice(&data);
        }
        let trailers = body.trailers().await?;
        match trailers.as_ref().and_then(|trailers| trailers.get("grpc-status")) {
            Some(status) if status == "0" => Ok(message),
            _ => Err(h2::Reason::PROTOCOL_ERROR.into()),
        }
    }
}
