//! The error that the pieces agree on, and that of a tower service behind layers.

use std::error::Error as _;
use std::time::Duration;

use kit_base::{Error, Failure, Kind, Origin, RetryHint, ServiceError};

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), 8);
    assert_eq!(size_of::<Result<(), Error>>(), 8);
}

#[test]
fn each_kind_has_a_constructor() {
    let errors = [
        Error::cancelled("x"),
        Error::unknown("x"),
        Error::invalid_argument("x"),
        Error::deadline_exceeded("x"),
        Error::not_found("x"),
        Error::already_exists("x"),
        Error::permission_denied("x"),
        Error::resource_exhausted("x"),
        Error::failed_precondition("x"),
        Error::aborted("x"),
        Error::out_of_range("x"),
        Error::unimplemented("x"),
        Error::internal("x"),
        Error::unavailable("x"),
        Error::data_loss("x"),
        Error::unauthenticated("x"),
    ];
    assert_eq!(errors.map(|error| error.kind()), Kind::ALL);
}

#[test]
fn an_error_says_what_it_was_given_and_nothing_else() {
    let plain = Error::not_found("no user 7");
    assert_eq!((plain.message(), plain.reason(), plain.retry_after()), ("no user 7", None, None));
    assert_eq!((plain.origin(), plain.retry_hint()), (Origin::Remote, RetryHint::None));
    assert!(plain.source().is_none());

    let full = Error::unavailable(format!("no {}", "db"))
        .with_reason("DB")
        .with_retry_after(Duration::from_secs(3))
        .with_origin(Origin::NotSent)
        .with_source("connection refused");
    assert_eq!((full.message(), full.reason()), ("no db", Some("DB")));
    assert_eq!(full.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(full.source().unwrap().to_string(), "connection refused");
    assert_eq!((Failure::kind(&full), Failure::origin(&full)), (Kind::Unavailable, Origin::NotSent));
    assert_eq!(Failure::retry_hint(&full), RetryHint::After(Duration::from_secs(3)));

    let never = Error::unavailable("x").with_retry_after(Duration::from_secs(3)).with_retry_hint(RetryHint::Never);
    assert_eq!((never.retry_after(), never.retry_hint()), (None, RetryHint::Never));
}

#[test]
fn the_peer_gets_a_neutral_text_for_internal_and_unknown() {
    for kind in Kind::ALL {
        let error = Error::new(kind, "secret");
        let want = match kind {
            Kind::Internal => "internal error",
            Kind::Unknown => "unknown error",
            _ => "secret",
        };
        assert_eq!((error.peer_message(), error.message()), (want, "secret"), "{kind}");
    }
}

#[test]
fn the_text_shows_kind_and_message_and_not_the_source() {
    let error = Error::internal("broken").with_source(std::io::Error::other("disk"));
    assert_eq!(error.to_string(), "INTERNAL: broken");
    let debug = format!("{error:?}");
    assert!(debug.contains("Internal") && debug.contains("broken") && debug.contains("disk"), "{debug}");
}

#[test]
fn an_error_is_an_error_of_the_standard_library_and_crosses_threads() {
    fn takes(error: impl std::error::Error + Send + Sync + 'static) -> Box<dyn std::error::Error + Send + Sync> {
        error.into()
    }
    let boxed = takes(Error::aborted("x"));
    assert_eq!(boxed.downcast_ref::<Error>().unwrap().kind(), Kind::Aborted);
}

#[test]
fn an_endpoint_that_cannot_fail_has_an_error_that_is_one() {
    fn into(result: Result<u8, std::convert::Infallible>) -> Result<u8, Error> {
        Ok(result?)
    }
    assert_eq!(into(Ok(1)).unwrap(), 1);
}

#[derive(Debug)]
struct Transport(std::io::Error);

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("transport error")
    }
}

impl std::error::Error for Transport {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_own_error_of_a_service_counts_as_unavailable_and_keeps_text_and_source() {
    let error = ServiceError::Inner(Transport(std::io::Error::other("reset")));
    assert_eq!(
        (error.kind(), error.origin(), error.retry_hint()),
        (Kind::Unavailable, Origin::Remote, RetryHint::None)
    );
    assert_eq!(error.to_string(), "transport error");
    assert_eq!(error.source().unwrap().to_string(), "reset");
}

#[test]
fn a_refusal_before_a_service_counts_as_itself() {
    let refusal = Error::resource_exhausted("full")
        .with_origin(Origin::LocalRefusal)
        .with_retry_after(Duration::from_secs(1))
        .with_source("bucket");
    let error = ServiceError::<Transport>::from(refusal);
    assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!(error.retry_hint(), RetryHint::After(Duration::from_secs(1)));
    assert_eq!(error.to_string(), "RESOURCE_EXHAUSTED: full");
    assert_eq!(error.source().unwrap().to_string(), "bucket");
}

#[test]
fn a_request_that_was_not_sent_comes_back_in_its_own_type() {
    struct Stream(std::cell::Cell<u8>); // not `Sync`
    let mut error = Error::unavailable("refused").with_unsent(Stream(7.into()));
    assert_eq!(error.origin(), Origin::NotSent);
    assert_eq!(error.take_unsent::<Stream>().unwrap().0.get(), 7);
    assert!(error.take_unsent::<Stream>().is_none(), "taken once");
    assert!(Error::unavailable("refused").take_unsent::<u8>().is_none());
}

#[test]
fn a_request_that_is_asked_for_in_another_type_stays_where_it_is() {
    let mut error = Error::unavailable("refused").with_unsent(1u8);
    assert_eq!((error.take_unsent::<u16>(), error.take_unsent::<u8>()), (None, Some(1)));
}

/// Or a balancer over this service would take the request of a call that the service made for one of its own.
#[test]
fn the_answer_of_a_service_gives_no_request_back() {
    let mut error = Error::unavailable("refused").with_unsent(1u8).into_answer();
    assert_eq!((error.origin(), error.take_unsent::<u8>()), (Origin::Remote, None));
}
