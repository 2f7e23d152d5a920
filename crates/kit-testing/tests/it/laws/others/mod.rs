//! Layers that others wrote, as their documentation says to use them. What was found is listed in `laws/findings.md`.
//!
//! Each test pins what the checker sees today, so that a new version that changes shows.

mod tower;
mod tower_http;
mod tower_resilience;

use std::error::Error as StdError;
use std::fmt;

use kit_testing::laws::{Fault, Inner, Law, Laws};
use tower_layer::{Layer, layer_fn};

/// Sees no law broken.
#[track_caller]
fn keeps(laws: Laws) {
    laws.check();
}

/// Sees these laws broken, the plainest first, each in the run of this seed; and the first again in a replay.
#[track_caller]
fn breaks<const N: usize>(laws: impl Fn() -> Laws, expected: [(Law, &str); N]) {
    let report = laws().without_threads().report();
    let found: Vec<(Law, &str)> = report.findings().iter().map(|finding| (finding.law(), finding.seed())).collect();
    assert_eq!(found, expected, "\n{report}");
    let first = &report.findings()[0];
    let again = laws().replay(first.seed()).report();
    assert_eq!(again.findings()[0].found(), first.found(), "\n{again}");
    assert_eq!(again.findings()[0].steps(), first.steps(), "\n{again}");
}

/// An error that tells the inner error as its source, where the layer's own error type does not.
#[derive(Debug)]
enum Told {
    Inner(Fault),
    Own(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inner(fault) => write!(f, "{fault}"),
            Self::Own(text) => f.write_str(text),
        }
    }
}

impl StdError for Told {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Inner(fault) => Some(fault),
            Self::Own(_) => None,
        }
    }
}

/// The layer, with its errors told by `tell`, so that what else it does can be seen.
fn told<L, E>(
    layer: L,
    tell: fn(E) -> Told,
) -> impl Layer<Inner, Service = ::tower::util::MapErr<L::Service, fn(E) -> Told>>
where
    L: Layer<Inner>,
{
    layer_fn(move |inner| ::tower::util::MapErr::new(layer.layer(inner), tell))
}
