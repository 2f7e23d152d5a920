//! The error of the endpoint goes through any number of layers as it is: same type, same value, no box.

use std::mem::size_of_val;

use kit_base::{Endpoint, Error, Failure, Guard, Kind, Request};
use tower_layer::Layer;

use crate::support::{Func, Log, Probe, now};

/// A user's own error, with a value that has an address to compare.
#[derive(Debug, PartialEq)]
enum Mine {
    Named { id: u64, name: String },
    Kit(Kind),
}

impl From<Error> for Mine {
    fn from(error: Error) -> Self {
        Self::Kit(error.kind())
    }
}

impl Failure for Mine {
    fn kind(&self) -> Kind {
        match self {
            Self::Named { .. } => Kind::NotFound,
            Self::Kit(kind) => *kind,
        }
    }
}

#[test]
fn a_users_enum_goes_through_five_layers_unboxed_and_unchanged() {
    let log = Log::default();
    let name = "ada".to_owned();
    let address = name.as_ptr() as usize;
    let slot = std::sync::Mutex::new(Some(name));
    let endpoint = Func(|_: Request<u8>| {
        let name = slot.lock().unwrap().take().unwrap();
        async { Err::<u8, _>(Mine::Named { id: 7, name }) }
    });
    let layer = || Guard::new(Probe::new("p", &log));
    let five = layer().layer(layer().layer(layer().layer(layer().layer(layer().layer(endpoint)))));
    let outcome: Result<u8, Mine> = now(five.call(Request::new(1)));
    match outcome.unwrap_err() {
        Mine::Named { id: 7, name } => {
            assert_eq!(name, "ada");
            assert_eq!(name.as_ptr() as usize, address, "the text was copied");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_becomes_the_users_enum_by_its_from() {
    let log = Log::default();
    let guarded = Guard::new(Probe::refusing("p", &log)).layer(Func(|_: Request<u8>| async { Ok::<u8, Mine>(1) }));
    assert_eq!(now(guarded.call(Request::new(1))), Err(Mine::Kit(Kind::ResourceExhausted)));
}

#[test]
fn a_layer_adds_less_than_the_request_or_the_answer_to_the_future() {
    let log = Log::default();
    type Big = [u8; 1024];
    let endpoint = || Func(|req: Request<Big>| std::future::ready(Ok::<Big, Error>(req.into_message())));
    let layer = || Guard::new(Probe::new("p", &log));
    let (none, one) = (endpoint(), layer().layer(endpoint()));
    let two = layer().layer(layer().layer(endpoint()));
    let five = layer().layer(layer().layer(layer().layer(layer().layer(layer().layer(endpoint())))));
    let sizes = [
        size_of_val(&Endpoint::call(&none, Request::new([0; 1024]))),
        size_of_val(&one.call(Request::new([0; 1024]))),
        size_of_val(&two.call(Request::new([0; 1024]))),
        size_of_val(&five.call(Request::new([0; 1024]))),
    ];
    assert!(sizes[1] - sizes[0] <= 160, "{sizes:?}");
    assert_eq!(sizes[2] - sizes[1], (sizes[3] - sizes[1]) / 4, "each layer adds the same: {sizes:?}");
}
