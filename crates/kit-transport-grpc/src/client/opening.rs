//! The head of an answer and its end: whether they tell of a success.

use http::response::Parts;
use http::{HeaderMap, StatusCode};
use kit_base::Error;
use kit_base::wire::is_grpc;

use super::failure;
use crate::coding::Coding;
use crate::frame::Deframer;
use crate::protocol::{PROTOCOL, broken};
use crate::status;

/// What the head of an answer has said.
#[derive(Debug)]
pub(super) struct Opening {
    /// The status OK, already there.
    given: bool,
    /// Nothing comes after the head, which is their trailers too.
    pub(super) over: bool,
    /// A compression that is not known matters once a message is compressed: until then a status may come.
    coding: Result<Coding, Error>,
}

impl Opening {
    /// Reads a head, after which the body has ended or not. A head that is trailers too is shown.
    ///
    /// # Errors
    /// That which the head tells of, or what is wrong with it.
    pub(super) fn of(head: &Parts, ended: bool, show: impl FnOnce(&HeaderMap, &HeaderMap)) -> Result<Self, Error> {
        if !is_grpc(&head.headers) {
            return Err(failure::foreign(head));
        }
        let given = status::read(&head.headers);
        if matches!(given, Some(Err(_))) || (given.is_some() && ended) {
            show(&HeaderMap::new(), &head.headers);
        }
        let given = given.transpose()?.is_some();
        if head.status != StatusCode::OK || (!given && ended) {
            return Err(failure::without_status(head));
        }
        Ok(Self { given, over: given && ended, coding: Coding::of(&head.headers) })
    }

    /// What takes the messages out of their frames.
    pub(super) fn frames(&self, limit: usize) -> Deframer {
        Deframer::new(*self.coding.as_ref().unwrap_or(&Coding::Identity), limit)
    }

    /// Why a message cannot be read.
    pub(super) fn unreadable(&self, error: Error) -> Error {
        match &self.coding {
            Err(unknown) if error.reason() == Some(PROTOCOL) => broken(unknown.message().to_owned()),
            _ => error,
        }
    }

    /// The outcome at the end of the body.
    ///
    /// # Errors
    /// That which the trailers tell of, or what is wrong with them.
    pub(super) fn end(&self, trailers: Option<&HeaderMap>, any_message: bool) -> Result<(), Error> {
        match trailers {
            Some(trailers) => status::read(trailers).unwrap_or_else(|| Err(failure::trailers_without_status())),
            None if self.given && !any_message => Ok(()),
            None => Err(broken("the answer ended without trailers, and so without a grpc-status")),
        }
    }
}
