//! Messages in their frames: a flag, a length, and the bytes. Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use bytes::{Buf, Bytes, BytesMut};
use kit_base::Error;
use prost::Message;

use crate::coding::Coding;
use crate::protocol::broken;

/// The flag and the length.
const HEADER: usize = 5;

/// Puts messages into frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framer {
    /// How messages are compressed.
    pub(crate) coding: Coding,
    /// The most bytes that a message may have before it is compressed.
    pub(crate) limit: usize,
}

impl Framer {
    /// The message in its frame.
    ///
    /// # Errors
    /// It is too long.
    pub(crate) fn frame(self, message: &impl Message) -> Result<Bytes, Error> {
        let length = message.encoded_len();
        if length > self.limit.min(u32::MAX as usize) {
            let limit = self.limit;
            let error = Error::resource_exhausted(format!("a message of {length} bytes is longer than {limit} bytes"));
            return Err(error.with_reason(MESSAGE_TOO_LARGE));
        }
        let mut frame = Vec::with_capacity(HEADER + length);
        frame.extend_from_slice(&[0; HEADER]);
        // It has the room that it asked for, so encoding cannot fail.
        let _ = message.encode(&mut frame);
        if self.coding != Coding::Identity {
            frame = self.coding.compress(&frame[HEADER..], HEADER)?;
        }
        frame[0] = u8::from(self.coding != Coding::Identity);
        let length = (frame.len() - HEADER) as u32;
        frame[1..HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(frame.into())
    }
}

/// The reason of an error that a limit of size has caused.
pub(crate) const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";

/// Takes messages out of their frames. It keeps no more than one message, and none that is too long.
#[derive(Debug)]
pub(crate) struct Deframer {
    coding: Coding,
    limit: usize,
    /// What has come, as it came.
    whole: Bytes,
    /// What has come in pieces, of a message that is not whole yet.
    pieces: BytesMut,
}

impl Deframer {
    pub(crate) fn new(coding: Coding, limit: usize) -> Self {
        Self { coding, limit, whole: Bytes::new(), pieces: BytesMut::new() }
    }

    /// More has come. Messages that are whole should have been taken before.
    pub(crate) fn push(&mut self, data: Bytes) {
        if self.is_empty() {
            self.whole = data;
            return;
        }
        if !self.whole.is_empty() {
            self.pieces.extend_from_slice(&self.whole);
            self.whole = Bytes::new();
        }
        self.pieces.extend_from_slice(&data);
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.pieces.is_empty()
    }

    /// The next message, once it is whole.
    ///
    /// # Errors
    /// What has come is no frame, or one that is too long.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let come: &[u8] = if self.pieces.is_empty() { &self.whole } else { &self.pieces };
        let Some((&[flag, length @ ..], rest)) = come.split_first_chunk::<HEADER>() else { return Ok(None) };
        let compressed = match flag {
            0 => false,
            1 if self.coding != Coding::Identity => true,
            1 => return Err(broken("a message is compressed, and no grpc-encoding says how")),
            flag => return Err(broken(format!("a message has the flag {flag}, which is neither 0 nor 1"))),
        };
        let length = u32::from_be_bytes(length) as usize;
        if length > self.limit {
            return Err(too_large(length, self.limit));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let message = if self.pieces.is_empty() {
            self.whole.advance(HEADER);
            self.whole.split_to(length)
        } else {
            self.pieces.advance(HEADER);
            self.pieces.split_to(length).freeze()
        };
        if compressed { self.coding.expand(&message, self.limit).map(Some) } else { Ok(Some(message)) }
    }

    /// Nothing more will come.
    ///
    /// # Errors
    /// A message has begun and is not whole.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match self.whole.len() + self.pieces.len() {
            0 => Ok(()),
            bytes => Err(broken(format!("the stream ended within a message, {bytes} bytes after its beginning"))),
        }
    }
}

pub(crate) fn too_large(length: usize, limit: usize) -> Error {
    let error = Error::resource_exhausted(format!("a message of {length} bytes came, more than {limit} are not taken"));
    error.with_reason(MESSAGE_TOO_LARGE)
}

/// The message that these bytes are.
///
/// # Errors
/// They are none.
pub(crate) fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| broken(format!("a message cannot be decoded: {error}")).with_source(error))
}
