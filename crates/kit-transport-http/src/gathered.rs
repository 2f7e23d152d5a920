//! A body gathered piece by piece, within a limit.

use bytes::{Bytes, BytesMut};

/// What has come of a body. One piece is the rule, and it is taken over as it is.
#[derive(Debug)]
pub(crate) struct Gathered {
    limit: usize,
    first: Bytes,
    more: BytesMut,
}

/// The body is longer than the limit.
#[derive(Debug)]
pub(crate) struct TooLong;

impl Gathered {
    pub(crate) fn within(limit: usize) -> Self {
        Self { limit, first: Bytes::new(), more: BytesMut::new() }
    }

    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), TooLong> {
        if self.first.len() + self.more.len() + piece.len() > self.limit {
            return Err(TooLong);
        }
        if self.first.is_empty() && self.more.is_empty() {
            self.first = piece;
        } else {
            if self.more.is_empty() {
                self.more.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.more.extend_from_slice(&piece);
        }
        Ok(())
    }

    pub(crate) fn whole(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}
