//! What `#[derive(kit_endpoint::Error)]` makes of an enum.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use kit_endpoint::base::{Origin, RetryHint};
use kit_endpoint::{Error, Failure, Kind};

#[derive(Debug, kit_endpoint::Error)]
enum UserError {
    #[kit(kind = InvalidArgument, message = "a name cannot be empty")]
    EmptyName,
    #[kit(kind = NotFound, message = "no user {id:>3} in {{{realm}}}")]
    NoUser { id: u64, realm: String },
    #[kit(kind = kit_endpoint::Kind::OutOfRange, message = "{0} is more than {1}", reason = "TOO_MUCH")]
    Over(u32, u32),
    #[kit(kind = Internal)]
    #[kit(message = "{f} is corrupt")]
    Corrupt {
        f: &'static str,
        #[allow(dead_code, reason = "messages may leave fields out")]
        offset: u64,
    },
    #[kit(other)]
    Other(Error),
}

#[test]
fn each_variant_has_its_kind_and_its_text() {
    let no_user = UserError::NoUser { id: 7, realm: "a".into() };
    let corrupt = UserError::Corrupt { f: "index", offset: 3 };
    for (error, kind, text) in [
        (UserError::EmptyName, Kind::InvalidArgument, "a name cannot be empty"),
        (no_user, Kind::NotFound, "no user   7 in {a}"),
        (UserError::Over(3, 2), Kind::OutOfRange, "3 is more than 2"),
        (corrupt, Kind::Internal, "index is corrupt"),
        (UserError::Other(Error::aborted("conflict")), Kind::Aborted, "ABORTED: conflict"),
    ] {
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
    }
}

#[test]
fn a_variant_becomes_an_error_with_kind_text_and_reason() {
    for (error, kind, text, reason) in [
        (UserError::EmptyName, Kind::InvalidArgument, "a name cannot be empty", "EMPTY_NAME"),
        (UserError::Over(3, 2), Kind::OutOfRange, "3 is more than 2", "TOO_MUCH"),
    ] {
        let error = Error::from(error);
        assert_eq!((error.kind(), error.message(), error.reason()), (kind, text, Some(reason)));
        assert_eq!((error.origin(), error.retry_hint()), (Origin::Remote, RetryHint::None));
    }
}

#[test]
fn the_other_variant_is_the_error_itself_both_ways() {
    let refusal = Error::resource_exhausted("full")
        .with_origin(Origin::LocalRefusal)
        .with_retry_after(Duration::from_secs(1))
        .with_source("why");
    let error = UserError::from(refusal);
    assert!(matches!(error, UserError::Other(_)));
    assert_eq!(Failure::origin(&error), Origin::LocalRefusal);
    assert_eq!(Failure::retry_hint(&error), RetryHint::After(Duration::from_secs(1)));
    assert_eq!(error.source().unwrap().to_string(), "why");
    let error = Error::from(error);
    assert_eq!((error.message(), error.source().unwrap().to_string().as_str()), ("full", "why"));
}

#[test]
fn a_variant_without_fields_comes_back_by_kind_and_reason() {
    let back = UserError::from(Error::from(UserError::EmptyName));
    assert!(matches!(back, UserError::EmptyName));
}

#[test]
fn a_variant_comes_back_from_a_peer_that_was_told_a_neutral_text() {
    // What may be sent of an `Internal` error: kind, reason, and a text that says nothing.
    let told = Error::from(Quiet::Broken);
    let told = Error::new(told.kind(), told.peer_message().to_owned()).with_reason("BROKEN");
    assert_eq!(told.message(), "internal error");
    assert!(matches!(Quiet::from(told), Quiet::Broken));
}

#[test]
fn what_says_more_than_a_variant_stays_in_other() {
    let another_text = || Error::invalid_argument("the name of the group is empty").with_reason("EMPTY_NAME");
    let with_a_source = || Error::from(UserError::EmptyName).with_source("row 7 of users.csv");
    for make in [another_text as fn() -> Error, with_a_source] {
        let UserError::Other(error) = UserError::from(make()) else { panic!("{} is lost", make()) };
        assert_eq!(format!("{error:?}"), format!("{:?}", make()));
        let back = Error::from(UserError::Other(error));
        assert_eq!((back.message(), back.source().is_some()), (make().message(), make().source().is_some()));
    }
}

#[test]
fn the_neutral_text_of_another_kind_is_a_text_like_any_other() {
    let error = Error::invalid_argument("internal error").with_reason("EMPTY_NAME");
    assert!(matches!(UserError::from(error), UserError::Other(_)));
}

#[test]
fn as_an_answer_the_other_variant_is_remote_and_the_rest_stays() {
    let not_sent = Error::unavailable("down").with_origin(Origin::NotSent).with_retry_hint(RetryHint::Never);
    let answer = UserError::from(not_sent).into_answer();
    assert_eq!((Failure::origin(&answer), Failure::retry_hint(&answer)), (Origin::Remote, RetryHint::Never));
    assert!(matches!(UserError::Over(3, 2).into_answer(), UserError::Over(3, 2)));
}

#[test]
fn what_cannot_be_made_again_stays_in_other() {
    let with_fields = Error::from(UserError::Over(3, 2));
    let other_kind = Error::not_found("x").with_reason("EMPTY_NAME");
    let other_reason = Error::invalid_argument("x").with_reason("NO_NAME");
    let no_reason = Error::invalid_argument("a name cannot be empty");
    let refused = Error::from(UserError::EmptyName).with_origin(Origin::LocalRefusal);
    let hinted = Error::from(UserError::EmptyName).with_retry_hint(RetryHint::Never);
    for error in [with_fields, other_kind, other_reason, no_reason, refused, hinted] {
        let text = format!("{error:?}");
        let UserError::Other(error) = UserError::from(error) else { panic!("{text}") };
        assert_eq!(format!("{error:?}"), text);
    }
}

#[derive(Debug, kit_endpoint::Error)]
enum Quiet {
    #[kit(kind = Unavailable)]
    Closed,
    #[kit(kind = Internal)]
    Broken,
    #[kit(other)]
    Other(Error),
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("written by hand")
    }
}

#[test]
fn without_messages_the_text_is_the_users_own() {
    let error = Error::from(Quiet::Closed);
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "written by hand"));
    assert!(matches!(Quiet::from(error), Quiet::Closed));
    assert!(matches!(Quiet::from(Error::aborted("x")), Quiet::Other(_)));
}

#[derive(Debug, kit_endpoint::Error)]
enum Only {
    #[kit(other)]
    Other(Error),
}

#[test]
fn an_enum_of_nothing_else_is_one_too() {
    assert_eq!(Only::from(Error::data_loss("x")).kind(), Kind::DataLoss);
    let refusal = Only::from(Error::aborted("x").with_origin(Origin::LocalRefusal));
    assert_eq!(Failure::origin(&refusal.into_answer()), Origin::Remote);
}
