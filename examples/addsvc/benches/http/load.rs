//! A closed loop of requests on kept connections: the same bytes to every server, and no client library to wait for.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::service::BODY;

fn request(addr: SocketAddr) -> Vec<u8> {
    let length = BODY.len();
    let head = format!(
        "POST /uppercase HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    (head + BODY).into_bytes()
}

/// Connections that are open, each of which has been answered once.
#[derive(Debug)]
pub(crate) struct Connections {
    streams: Vec<TcpStream>,
    request: Vec<u8>,
    /// The length of an answer; it is the same each time.
    answer: usize,
}

impl Connections {
    pub(crate) fn open(addr: SocketAddr, count: usize) -> Result<Self, Box<dyn Error>> {
        let request = request(addr);
        let mut streams = Vec::with_capacity(count);
        let mut answer = 0;
        for _ in 0..count {
            let mut stream = TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            stream.write_all(&request)?;
            answer = first_answer(&mut stream)?;
            streams.push(stream);
        }
        Ok(Self { streams, request, answer })
    }

    /// So many requests on the first connection, one after the other.
    pub(crate) fn requests(&mut self, count: usize) -> io::Result<()> {
        let mut buffer = vec![0; self.answer];
        for _ in 0..count {
            self.streams[0].write_all(&self.request)?;
            self.streams[0].read_exact(&mut buffer)?;
        }
        Ok(())
    }

    /// Requests on all connections at once for this long; how many were answered, and in what time.
    pub(crate) fn saturate(self, time: Duration) -> Result<(u64, Duration), Box<dyn Error>> {
        let Self { streams, request, answer } = self;
        let request: Arc<[u8]> = request.into();
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let start = Instant::now();
            let mut loops = JoinSet::new();
            for stream in streams {
                stream.set_nonblocking(true)?;
                let mut stream = tokio::net::TcpStream::from_std(stream)?;
                let request = Arc::clone(&request);
                loops.spawn(async move {
                    let (mut buffer, mut answered) = (vec![0; answer], 0);
                    while start.elapsed() < time {
                        stream.write_all(&request).await?;
                        stream.read_exact(&mut buffer).await?;
                        answered += 1;
                    }
                    Ok::<u64, io::Error>(answered)
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

/// Reads an answer with a content-length; how long it is.
fn first_answer(stream: &mut TcpStream) -> Result<usize, Box<dyn Error>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head)?;
    if !text.starts_with("HTTP/1.1 200 ") {
        return Err(format!("a server answered {text:?}").into());
    }
    let length = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let length: usize = length.ok_or("an answer without a length")?;
    stream.read_exact(&mut vec![0; length])?;
    Ok(text.len() + length)
}
