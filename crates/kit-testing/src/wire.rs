//! HTTP/1.1 messages read from a socket: what the backend and the raw peer share.

use std::io;
use std::str;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a head, and of a body, after which reading fails.
const MAX_HEAD: usize = 256 * 1024;
const MAX_BODY: usize = 256 * 1024 * 1024;

/// Headers of a message.
const MAX_HEADERS: usize = 256;

/// The reading side of a connection.
#[derive(Debug)]
pub(crate) struct Wire<R> {
    source: R,
    buffer: BytesMut,
    /// All bytes so far, where somebody wants them.
    transcript: Option<Vec<u8>>,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl<R: AsyncRead + Unpin> Wire<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new(), transcript: None }
    }

    /// Keeps a copy of everything that is read.
    pub(crate) fn recording(source: R) -> Self {
        Self { transcript: Some(Vec::new()), ..Self::new(source) }
    }

    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.source
    }

    pub(crate) fn transcript(&mut self) -> Vec<u8> {
        self.transcript.take().unwrap_or_default()
    }

    /// Reads the head of a request; nothing when the peer has closed between two.
    pub(crate) async fn request_head(&mut self) -> io::Result<Option<Request<()>>> {
        let Some(head) = self.head().await? else { return Ok(None) };
        parse_request(&head).map(Some)
    }

    /// Reads the body that belongs to a request's head.
    pub(crate) async fn request_body(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        let framing = framing(headers)?.unwrap_or(Framing::Length(0));
        self.body(framing).await
    }

    /// Reads a whole response; `bodiless` for one to HEAD. Interim answers (1xx) are passed over.
    pub(crate) async fn response(&mut self, bodiless: bool) -> io::Result<Response<Bytes>> {
        loop {
            let head = self.head().await?.ok_or_else(|| end("the response"))?;
            let head = parse_response(&head)?;
            let status = head.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            let empty = bodiless
                || status.is_informational()
                || status == StatusCode::NO_CONTENT
                || status == StatusCode::NOT_MODIFIED;
            let framing = match framing(head.headers())? {
                _ if empty => Framing::Length(0),
                framing => framing.unwrap_or(Framing::UntilClose),
            };
            let body = self.body(framing).await?;
            return Ok(head.map(|()| body));
        }
    }

    /// Reads on; false at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        let before = self.buffer.len();
        let read = self.source.read_buf(&mut self.buffer).await?;
        if let Some(transcript) = &mut self.transcript {
            transcript.extend_from_slice(&self.buffer[before..]);
        }
        Ok(read > 0)
    }

    /// Bytes that are read and not used yet.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next head with its blank line; nothing at the end of the stream.
    async fn head(&mut self) -> io::Result<Option<BytesMut>> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(at) = found {
                return Ok(Some(self.buffer.split_to(searched + at + 4)));
            }
            if self.buffered() > MAX_HEAD {
                return Err(invalid(format!("a head of more than {MAX_HEAD} bytes")));
            }
            searched = self.buffered().saturating_sub(3);
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(end("a head")) };
            }
        }
    }

    async fn body(&mut self, framing: Framing) -> io::Result<Bytes> {
        match framing {
            Framing::Length(length) => self.exactly(length).await.map(BytesMut::freeze),
            Framing::Chunked => self.chunks().await,
            Framing::UntilClose => {
                while self.fill().await? {
                    limit(self.buffered())?;
                }
                Ok(self.buffer.split().freeze())
            }
        }
    }

    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| invalid(format!("`{line}` is not the size of a chunk")))?;
            if size == 0 {
                break;
            }
            limit(body.len().saturating_add(size))?;
            body.extend_from_slice(&self.exactly(size).await?);
            self.line().await?;
        }
        // Trailers, up to the blank line.
        while !self.line().await?.is_empty() {}
        Ok(body.freeze())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(at);
                self.buffer.advance(1);
                return Ok(str::from_utf8(&line).map_err(invalid)?.trim_end_matches('\r').to_owned());
            }
            if self.buffered() > MAX_HEAD {
                return Err(invalid(format!("a line of more than {MAX_HEAD} bytes")));
            }
            if !self.fill().await? {
                return Err(end("a chunk"));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<BytesMut> {
        limit(length)?;
        while self.buffered() < length {
            if !self.fill().await? {
                return Err(end(&format!("a body of {length} bytes, after {}", self.buffered())));
            }
        }
        Ok(self.buffer.split_to(length))
    }
}

// The parsers are functions of their own, so that their arrays of headers are on the stack and not in the futures.

fn parse_request(head: &[u8]) -> io::Result<Request<()>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).map_err(invalid)?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(invalid)?;
    *request.uri_mut() = parsed.path.unwrap_or_default().parse().map_err(invalid)?;
    *request.version_mut() = version(parsed.version);
    *request.headers_mut() = header_map(parsed.headers)?;
    Ok(request)
}

fn parse_response(head: &[u8]) -> io::Result<Response<()>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(head).map_err(invalid)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(invalid)?;
    *response.version_mut() = version(parsed.version);
    *response.headers_mut() = header_map(parsed.headers)?;
    Ok(response)
}

fn framing(headers: &HeaderMap) -> io::Result<Option<Framing>> {
    if let Some(coding) = headers.get(TRANSFER_ENCODING) {
        let chunked = coding.as_bytes().to_ascii_lowercase().ends_with(b"chunked");
        return Ok(Some(if chunked { Framing::Chunked } else { Framing::UntilClose }));
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let parsed = length.to_str().ok().and_then(|length| length.trim().parse().ok());
    parsed.map(|length| Some(Framing::Length(length))).ok_or_else(|| invalid(format!("content-length {length:?}")))
}

fn header_map(parsed: &[httparse::Header<'_>]) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(invalid)?;
        headers.append(name, HeaderValue::from_bytes(header.value).map_err(invalid)?);
    }
    Ok(headers)
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn limit(length: usize) -> io::Result<()> {
    if length > MAX_BODY { Err(invalid(format!("a body of more than {MAX_BODY} bytes"))) } else { Ok(()) }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn end(of: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended before {of} was complete"))
}
