//! A part of a response's body, until hyper has written it.

use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::link::Unsent;

/// Data of a body that tells its connection what became of it: the service may have ended long before the client has
/// read the answer, and a connection that is still sending one is not idle.
#[derive(Debug)]
pub(crate) struct Part<D> {
    data: Data<D>,
    unsent: Option<Unsent>,
}

/// Whose body it is.
#[derive(Debug)]
enum Data<D> {
    Service(D),
    /// The server's own.
    Own(Bytes),
}

/// Evaluates an expression for whatever the data are.
macro_rules! each {
    ($part:expr, $data:ident => $expression:expr) => {
        match $part {
            Data::Service($data) => $expression,
            Data::Own($data) => $expression,
        }
    };
}

impl<D> Part<D> {
    pub(crate) fn new(data: D, unsent: Option<Unsent>) -> Self {
        Self { data: Data::Service(data), unsent }
    }

    pub(crate) fn own(data: Bytes, unsent: Option<Unsent>) -> Self {
        Self { data: Data::Own(data), unsent }
    }
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        each!(&self.data, data => data.remaining())
    }

    fn chunk(&self) -> &[u8] {
        each!(&self.data, data => data.chunk())
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        each!(&self.data, data => data.chunks_vectored(slices))
    }

    fn advance(&mut self, count: usize) {
        each!(&mut self.data, data => data.advance(count));
        if let Some(unsent) = &self.unsent {
            unsent.advanced(count);
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        if let Some(unsent) = &self.unsent {
            unsent.advanced(length);
        }
        each!(&mut self.data, data => data.copy_to_bytes(length))
    }
}
