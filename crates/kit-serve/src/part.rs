//! A part of a response's body, until hyper has written it.

use std::io::IoSlice;

use bytes::Buf;

use crate::link::Unsent;

/// Data of a body that tells its connection what became of it: the service may have ended long before the client has
/// read the answer, and a connection that is still sending one is not idle.
#[derive(Debug)]
pub(crate) struct Part<D> {
    data: D,
    unsent: Option<Unsent>,
}

impl<D> Part<D> {
    pub(crate) fn new(data: D, unsent: Option<Unsent>) -> Self {
        Self { data, unsent }
    }
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        if let Some(unsent) = &self.unsent {
            unsent.advanced();
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> bytes::Bytes {
        if let Some(unsent) = &self.unsent {
            unsent.advanced();
        }
        self.data.copy_to_bytes(length)
    }
}
