//! HTTP/2 by hand: frames as bytes, so that tests can send what no library sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::support::HANGS;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 32;

/// Codes of errors (RFC 9113, 7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// The fields of `GET http://t/`, and of a POST there.
pub(crate) const GET: &[u8] = b"\x82\x86\x84\x01\x01t";
pub(crate) const POST: &[u8] = b"\x83\x86\x84\x01\x01t";

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A whole request without a body.
pub(crate) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)
}

/// The head of a request whose body is still to come.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST)
}

pub(crate) fn data(flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, CANCEL.to_be_bytes())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// SETTINGS with one setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A field that is not put into the table, without Huffman (RFC 7541, 6.2.2).
pub(crate) fn field(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name.as_bytes(), value.as_ref()] {
        integer(&mut bytes, 0, 7, text.len());
        bytes.extend(text);
    }
    bytes
}

/// An integer behind the first bits of a byte (RFC 7541, 5.1).
pub(crate) fn integer(bytes: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        bytes.push(first | u8::try_from(value).unwrap());
        return;
    }
    bytes.push(first | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// What the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Head {
        stream: u32,
        status: u16,
    },
    Data {
        stream: u32,
        length: usize,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    Settings {
        ack: bool,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    GoAway {
        code: u32,
    },
    Window,
    /// The end of the connection.
    End,
    /// An answer over HTTP/1.
    Http1 {
        status: u16,
    },
}

/// A client that writes frames as they are.
pub(crate) struct Frames {
    pub(crate) read: Reader,
    pub(crate) write: OwnedWriteHalf,
}

impl Frames {
    /// Connects, and sends the preface and empty settings.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let mut frames = Self::connect_raw(addr).await;
        frames.send([PREFACE, &frame(SETTINGS, 0, 0, [])].concat()).await;
        frames
    }

    pub(crate) async fn connect_raw(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        Self { read: Reader { stream: read, first: true }, write }
    }

    /// Whether the server still takes bytes; it need not.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(HANGS, self.write.write_all(bytes.as_ref())).await.is_ok_and(|written| written.is_ok())
    }

    pub(crate) async fn next(&mut self) -> Sent {
        self.read.next().await
    }

    /// Reads until the condition holds; returns what it held for, or the end.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Sent) -> bool) -> Sent {
        self.read.until(wanted).await
    }
}

pub(crate) struct Reader {
    stream: OwnedReadHalf,
    first: bool,
}

impl Reader {
    pub(crate) async fn next(&mut self) -> Sent {
        timeout(HANGS, self.read()).await.expect("the server sends nothing").unwrap_or(Sent::End)
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&Sent) -> bool) -> Sent {
        loop {
            let sent = self.next().await;
            if sent == Sent::End || wanted(&sent) {
                return sent;
            }
        }
    }

    async fn read(&mut self) -> std::io::Result<Sent> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            if self.first && head.starts_with(b"HTTP/1.1") {
                let mut status = [0; 3];
                self.stream.read_exact(&mut status).await?;
                let status = std::str::from_utf8(&status).unwrap().parse().unwrap();
                return Ok(Sent::Http1 { status });
            }
            self.first = false;
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            let (kind, flags, stream) = (head[3], head[4], number(&head[5..]));
            let mut payload = vec![0; usize::try_from(number(&head[..3])).unwrap()];
            self.stream.read_exact(&mut payload).await?;
            return Ok(match kind {
                DATA => Sent::Data { stream, length: payload.len() },
                HEADERS if status(&payload) == 0 => continue, // trailers
                HEADERS => Sent::Head { stream, status: status(&payload) },
                RST_STREAM => Sent::Reset { stream, code: number(&payload) },
                SETTINGS => Sent::Settings { ack: flags & ACK != 0 },
                PING if flags & ACK == 0 => Sent::Ping(payload),
                PING => Sent::Pong(payload),
                GOAWAY => Sent::GoAway { code: number(&payload[4..8]) },
                WINDOW_UPDATE => Sent::Window,
                kind => panic!("the server sends a frame of type {kind}"),
            });
        }
    }
}

/// The status of a head as the server under test writes it; 0 for what is none.
fn status(block: &[u8]) -> u16 {
    match block {
        // The table of a client that wants none is made smaller first.
        [0x20, rest @ ..] => status(rest),
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // With Huffman's code for digits.
        [0x48, 0x82, 0x68, 0x21, ..] => 411,
        [0x48, 0x83, 0x68, 0x2c, _, ..] => 413,
        [0x48, 0x83, 0x69, 0x90, 0xff, ..] => 431,
        [0x48, ..] => panic!("a status that the test does not know: {block:02x?}"),
        _ => 0,
    }
}
