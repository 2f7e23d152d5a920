//! A server that writes frames of HTTP/2 by hand: it answers its first call as it is told, and all later ones well.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kit_base::{Endpoint, Error, Request};
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::peer::framed;
use crate::support::{HANGS, Note, echo, note};

/// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Fields of a head or of trailers; each character of a value is one byte.
pub(super) type Fields = Vec<(&'static str, String)>;

/// What the server does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Fields, as they are.
    Fields(Fields),
    /// Fields, and the end of the stream.
    Last(Fields),
    Data(Vec<u8>),
    /// A part of a frame, which announces so many bytes.
    PartOfData(u32, Vec<u8>),
    End,
    Reset(u32),
    /// The last stream that is served, and the code.
    GoAway(u32, u32),
    /// Any bytes.
    Raw(Vec<u8>),
    /// So many bytes of fields, without an end.
    EndlessFields(usize),
    /// The end of the connection.
    Cut,
}

/// A head of gRPC.
pub(super) fn head() -> Step {
    Step::Fields(answer(&[]))
}

/// The same with further fields, those of an answer without messages.
pub(super) fn only(further: &[(&'static str, &str)]) -> Step {
    Step::Last(answer(further))
}

pub(super) fn answer(further: &[(&'static str, &str)]) -> Fields {
    [fields(&[(":status", "200"), ("content-type", "application/grpc")]), fields(further)].concat()
}

pub(super) fn fields(given: &[(&'static str, &str)]) -> Fields {
    given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

pub(super) fn trailers(given: &[(&'static str, &str)]) -> Step {
    Step::Last(fields(given))
}

pub(super) fn data(text: &str) -> Step {
    Step::Data(framed(text))
}

pub(super) fn ok() -> Step {
    trailers(&[("grpc-status", "0")])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = u32::try_from(payload.len()).expect("a short frame").to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields that are not put into the table, without Huffman (RFC 7541, 6.2.2).
fn block(fields: &Fields) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        let value: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
        block.push(0);
        for text in [name.as_bytes(), &value] {
            let mut rest = text.len();
            if rest >= 127 {
                block.push(127);
                rest -= 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).expect("a byte") | 128);
                    rest /= 128;
                }
            }
            block.push(u8::try_from(rest).expect("a byte"));
            block.extend_from_slice(text);
        }
    }
    block
}

/// How the first call is answered.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// Whether it begins at the head of the request, not at its end.
    pub(super) early: bool,
    /// The bytes that each stream may send, of which no more are ever allowed.
    pub(super) window: Option<u32>,
    /// Whether the connection is accepted and nothing is said, not even settings.
    pub(super) mute: bool,
}

impl From<Vec<Step>> for Script {
    fn from(steps: Vec<Step>) -> Self {
        Self { steps, early: false, window: None, mute: false }
    }
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// It reset a stream, by this code.
    Reset(u32),
    /// It closed the connection.
    Close,
}

/// The server, gone when it is dropped.
pub(super) struct Scripted {
    addr: SocketAddr,
    accepting: JoinHandle<()>,
    did: UnboundedReceiver<Did>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Scripted {
    pub(super) async fn start(script: impl Into<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let script = Arc::new(script.into());
        let calls = Arc::new(AtomicUsize::new(0));
        let (doing, did) = unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, calls, doing) = (Arc::clone(&script), Arc::clone(&calls), doing.clone());
                connections.spawn(async move {
                    if connection(stream, &script, &calls, &doing).await.is_err() {
                        let _ = doing.send(Did::Close);
                    }
                });
            }
        });
        Self { addr, accepting, did }
    }

    pub(super) fn client(&self) -> GrpcClient {
        GrpcClient::new(format!("http://{}", self.addr)).expect("a client")
    }

    pub(super) async fn did(&mut self) -> Did {
        timeout(HANGS, self.did.recv()).await.expect("no hang").expect("a client")
    }
}

/// What the first call to a server with this script ends with; asserts that the next call on the same client is answered.
pub(super) async fn called(script: impl Into<Script>) -> Result<kit_base::Response<Note>, Error> {
    let server = Scripted::start(script).await;
    called_by(&server.client().endpoint(echo())).await
}

pub(super) async fn called_by(
    call: &Connected<Connections, Prost, Note, Note>,
) -> Result<kit_base::Response<Note>, Error> {
    let outcome = timeout(HANGS, call.call(Request::new(note("first")))).await.expect("no hang");
    let next = timeout(HANGS, call.call(Request::new(note("second")))).await.expect("no hang");
    assert_eq!(next.expect("the next call is answered").message().text, "next");
    outcome
}

async fn connection(
    stream: TcpStream,
    script: &Script,
    calls: &AtomicUsize,
    doing: &UnboundedSender<Did>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let first = calls.load(Ordering::SeqCst) == 0;
    if first && script.mute {
        calls.fetch_add(1, Ordering::SeqCst);
        let mut nothing = [0; 1024];
        while read.read(&mut nothing).await? > 0 {}
        return Ok(());
    }
    let window = script.window.filter(|_| first).map(|window| [&[0, 4][..], &window.to_be_bytes()].concat());
    write.write_all(&frame(SETTINGS, 0, 0, window.unwrap_or_default())).await?;
    read.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        read.read_exact(&mut head).await?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let (kind, flags, stream) = (head[3], head[4], number(&head[5..]));
        let mut payload = vec![0; usize::try_from(number(&head[..3])).expect("a length")];
        read.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => write.write_all(&frame(SETTINGS, ACK, 0, [])).await?,
            PING if flags & ACK == 0 => write.write_all(&frame(PING, ACK, 0, payload)).await?,
            RST_STREAM => drop(doing.send(Did::Reset(number(&payload)))),
            DATA if !payload.is_empty() && script.window.is_none() => {
                let more = u32::try_from(payload.len()).expect("a length").to_be_bytes();
                write
                    .write_all(&[frame(WINDOW_UPDATE, 0, 0, more), frame(WINDOW_UPDATE, 0, stream, more)].concat())
                    .await?;
            }
            _ => {}
        }
        let scripted = calls.load(Ordering::SeqCst) == 0;
        let due = match kind {
            HEADERS => scripted && script.early,
            DATA => flags & END_STREAM != 0 && !(scripted && script.early),
            _ => false,
        };
        if due {
            calls.fetch_add(1, Ordering::SeqCst);
            let well = [self::head(), data("next"), ok()];
            for step in if scripted { &script.steps[..] } else { &well[..] } {
                if !play(&mut write, step, stream).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Takes a step; false if it was the last of the connection.
async fn play(write: &mut (impl AsyncWriteExt + Unpin), step: &Step, stream: u32) -> io::Result<bool> {
    let bytes = match step {
        Step::Fields(fields) => frame(HEADERS, END_HEADERS, stream, block(fields)),
        Step::Last(fields) => frame(HEADERS, END_HEADERS | END_STREAM, stream, block(fields)),
        Step::Data(data) => data.chunks(16_384).flat_map(|data| frame(DATA, 0, stream, data)).collect(),
        Step::PartOfData(length, data) => {
            let mut bytes = frame(DATA, 0, stream, data);
            bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
            bytes
        }
        Step::End => frame(DATA, END_STREAM, stream, []),
        Step::Reset(code) => frame(RST_STREAM, 0, stream, code.to_be_bytes()),
        Step::GoAway(last, code) => frame(GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat()),
        Step::Raw(bytes) => bytes.clone(),
        Step::EndlessFields(length) => {
            write.write_all(&frame(HEADERS, 0, stream, block(&answer(&[])))).await?;
            let part = frame(CONTINUATION, 0, stream, block(&vec![("x-more", "x".repeat(100)); 100]));
            for _ in 0..length / part.len() {
                write.write_all(&part).await?;
            }
            return Ok(true);
        }
        Step::Cut => return Ok(false),
    };
    write.write_all(&bytes).await?;
    Ok(true)
}
