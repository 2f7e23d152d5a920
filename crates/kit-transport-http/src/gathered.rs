//! A body gathered piece by piece, within a limit.

use bytes::{Bytes, BytesMut};

/// What has come of a body. One piece is the rule, and it is taken over as it is.
#[derive(Debug)]
pub(crate) struct Gathered {
    limit: usize,
    pieces: Pieces,
}

#[derive(Debug)]
enum Pieces {
    One(Bytes),
    More(BytesMut),
}

/// The body is longer than the limit.
#[derive(Debug)]
pub(crate) struct TooLong;

impl Gathered {
    pub(crate) fn within(limit: usize) -> Self {
        Self { limit, pieces: Pieces::One(Bytes::new()) }
    }

    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), TooLong> {
        let length = match &self.pieces {
            Pieces::One(bytes) => bytes.len(),
            Pieces::More(bytes) => bytes.len(),
        };
        if length + piece.len() > self.limit {
            return Err(TooLong);
        }
        match &mut self.pieces {
            Pieces::One(first) if first.is_empty() => *first = piece,
            Pieces::One(first) => {
                let mut more = BytesMut::with_capacity(length + piece.len());
                more.extend_from_slice(first);
                more.extend_from_slice(&piece);
                self.pieces = Pieces::More(more);
            }
            Pieces::More(more) => more.extend_from_slice(&piece),
        }
        Ok(())
    }

    pub(crate) fn whole(self) -> Bytes {
        match self.pieces {
            Pieces::One(bytes) => bytes,
            Pieces::More(bytes) => bytes.freeze(),
        }
    }
}
