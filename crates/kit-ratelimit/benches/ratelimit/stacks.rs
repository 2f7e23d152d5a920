//! A limit among other gates: as one tuple, which reads the clock once, and nested.

use kit_base::Guard;
use kit_ratelimit::{Keyed, RateLimit};
use tower_layer::Layer;

use crate::rows::{GATE, plenty};
use crate::runs::{FREE, Rows, at_most};
use crate::subjects::{Ask, Breaker, Counter, Histogram, Leaf};

const BREAKER: &str = "m: a breaker by hand";
const METERED: &str = "n: a histogram, a counter and a breaker by hand, one tuple";

pub(crate) fn add(rows: &mut Rows) {
    let limit = || RateLimit::new(plenty());
    rows.endpoint(BREAKER, Some(GATE), FREE, Guard::new(Breaker::new()).layer(Leaf));
    let tuple = Guard::new((Breaker::new(), limit())).layer(Leaf);
    rows.endpoint("kit: a breaker by hand and a limit, one tuple", Some(BREAKER), at_most(260), tuple);
    let nested = Guard::new(Breaker::new()).layer(Guard::new(limit()).layer(Leaf));
    rows.endpoint("kit: a breaker by hand and a limit, nested", Some(BREAKER), at_most(290), nested);

    let metered = || (Histogram::new(), Counter::default(), Breaker::new());
    rows.endpoint(METERED, Some(GATE), FREE, Guard::new(metered()).layer(Leaf));
    let (histogram, counter, breaker) = metered();
    let four = Guard::new((histogram, counter, breaker, limit())).layer(Leaf);
    rows.endpoint("kit: the same and a limit, one tuple", Some(METERED), at_most(160), four);
    let (histogram, counter, breaker) = metered();
    let keyed = Keyed::by(plenty(), |request: &Ask| Some(request.message() % 1_000));
    let four = Guard::new((histogram, counter, breaker, keyed)).layer(Leaf);
    rows.endpoint("kit: the same and a limit by number, one tuple", Some(METERED), at_most(475), four);
    let (histogram, counter, breaker) = metered();
    let nested = Guard::new(limit()).layer(Leaf);
    let nested = Guard::new(histogram).layer(Guard::new(counter).layer(Guard::new(breaker).layer(nested)));
    rows.endpoint("kit: the same and a limit, nested", Some(METERED), at_most(380), nested);
}
