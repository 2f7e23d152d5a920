//! A panic in user code becomes an answer.

use std::pin::pin;
use std::task::Poll;

use kit_base::{Error, Kind, catch_panic};

use crate::support::{now, one_turn, poll_once};

#[derive(Debug, PartialEq)]
enum Mine {
    Own,
    Kit(Kind, String, Option<String>),
}

impl From<Error> for Mine {
    fn from(error: Error) -> Self {
        Self::Kit(error.kind(), error.message().to_owned(), error.reason().map(str::to_owned))
    }
}

fn panicked(text: &str) -> Result<u8, Mine> {
    Err(Mine::Kit(Kind::Internal, format!("panicked: {text}"), Some("PANIC".to_owned())))
}

#[test]
fn what_does_not_panic_passes_unchanged() {
    assert_eq!(now(catch_panic(|| async { Ok::<u8, Mine>(1) })), Ok(1));
    assert_eq!(now(catch_panic(|| async { Err::<u8, _>(Mine::Own) })), Err(Mine::Own));
}

#[test]
fn a_panic_when_the_future_is_made_is_an_error() {
    let made = catch_panic(|| -> std::future::Ready<Result<u8, Mine>> { panic!("at once") });
    assert_eq!(now(made), panicked("at once"));
}

#[test]
fn a_panic_of_the_future_is_an_error_whatever_its_text() {
    let n = 7;
    assert_eq!(now(catch_panic(|| async { if true { panic!("plain") } else { Ok(1) } })), panicked("plain"));
    assert_eq!(now(catch_panic(|| async { if true { panic!("with {n}") } else { Ok(1) } })), panicked("with 7"));
    let other = catch_panic(|| async { if true { std::panic::panic_any(7u8) } else { Ok(1) } });
    assert_eq!(now(other), panicked("a value that is no text"));
}

#[test]
fn a_panic_at_a_later_poll_is_an_error_too() {
    let mut call = pin!(catch_panic(|| async {
        one_turn().await;
        if true { panic!("later") } else { Ok::<u8, Mine>(1) }
    }));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(poll_once(call.as_mut()), Poll::Ready(panicked("later")));
}

#[test]
fn the_text_of_a_panic_is_not_for_the_peer() {
    let error =
        now(catch_panic(|| async { if true { panic!("password 7") } else { Ok::<u8, Error>(1) } })).unwrap_err();
    assert_eq!((error.message(), error.peer_message()), ("panicked: password 7", "internal error"));
}
