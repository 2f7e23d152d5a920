//! The rows: each subject, what it is compared with, and what it must keep.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use kit_base::{
    Context, Endpoint, Error, Gate, Guard, Monotonic, Now, Operation, OperationInfo, Peer, RequestParts, Response,
    Tower,
};
use kit_ratelimit::{Delay, Erroring, Keyed, Quota, RateLimit, nonzero};
use tower::service_fn;
use tower_layer::Layer;

use crate::harness::Row;
use crate::runs::{FREE, Rows, answer, at_most, boxes};
use crate::subjects::{Ask, Idle, Leaf, Refusing, Timed, Word, leaf};
use crate::{others, stacks};

const BARE: &str = "a: the endpoint alone";
pub(crate) const GATE: &str = "b: a gate that does nothing";
const CLOCK: &str = "c: a gate that reads the clock";
const WITH_CONTEXT: &str = "d: a gate that reads the clock, calls with a context";
const ERROR: &str = "e: a gate that reads the clock and makes the error of a refusal";
const TIMED: &str = "f: an endpoint that reads tokio's clock";
const TOWER: &str = "g: tower face, a gate that reads the clock";
pub(crate) const SERVICE: &str = "h: tower, the service alone";
pub(crate) const QUESTION: &str = "i: alone: a reading of the clock, and a swap by hand";

/// Every row.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Rows(Vec::new());
    rows.alone_in_a_loop();
    rows.floors();
    rows.one();
    rows.keyed();
    rows.refusals();
    rows.waiting();
    rows.tower();
    stacks::add(&mut rows);
    others::add(&mut rows);
    rows.0
}

impl Rows {
    /// What a limiter is asked with nothing around it.
    fn alone_in_a_loop(&mut self) {
        self.question("alone: a reading of the clock", None, FREE, |_| Instant::now());
        let word = by_hand();
        self.question(QUESTION, None, FREE, move |_| word.take(Instant::now()));
        self.gate("kit: alone", Some(QUESTION), at_most(65), RateLimit::new(plenty()));
        let titles = [
            ("kit: alone, 1 key", 1, 335),
            ("kit: alone, 1,000 keys", 1_000, 335),
            ("kit: alone, 65,536 keys", 65_536, 375),
        ];
        for (title, keys, instructions) in titles {
            let keyed = Keyed::by(plenty(), move |number: &u64| Some(number % keys));
            (0..keys).for_each(|mut key| {
                let _ = Gate::<_, (), Error>::admit(&keyed, &mut key, &Now::new(&Monotonic));
            });
            self.gate(title, Some(QUESTION), at_most(instructions), keyed);
        }
    }

    fn floors(&mut self) {
        self.endpoint(BARE, None, FREE, Leaf);
        self.endpoint(GATE, Some(BARE), FREE, Guard::new(Idle::<false>).layer(Leaf));
        self.endpoint(CLOCK, Some(GATE), FREE, Guard::new(Idle::<true>).layer(Leaf));
        self.endpoint("by hand", Some(CLOCK), FREE, Guard::new(by_hand()).layer(Leaf));
        self.endpoint_with(WITH_CONTEXT, None, FREE, Guard::new(Idle::<true>).layer(Leaf), with_context());
    }

    fn one(&mut self) {
        let limit = || RateLimit::new(plenty());
        self.endpoint("kit: one limit", Some(CLOCK), at_most(160), Guard::new(limit()).layer(Leaf));
        let costing = limit().costing(|request: &Ask| 1 + (*request.message() as u32 & 1));
        self.endpoint("kit: one limit, by cost", Some(CLOCK), at_most(160), Guard::new(costing).layer(Leaf));
        let headers = Guard::new(limit().with_headers()).layer(Leaf);
        self.endpoint("kit: one limit, with headers on answers", Some(CLOCK), boxes(6.0, 4_350), headers);
        let governor = others::governor_direct();
        let erroring = Erroring::new(move || governor.check().is_ok());
        self.endpoint("kit: any limiter, governor's", Some(GATE), at_most(150), Guard::new(erroring).layer(Leaf));
    }

    fn keyed(&mut self) {
        let titles = [
            ("kit: by number, 1 key", 1, 395),
            ("kit: by number, 1,000 keys", 1_000, 395),
            ("kit: by number, 65,536 keys", 65_536, 435),
        ];
        for (title, keys, instructions) in titles {
            let keyed = Keyed::by(plenty(), move |request: &Ask| Some(request.message() % keys));
            let endpoint = Guard::new(keyed).layer(Leaf);
            (0..keys).for_each(|key| take_one(&endpoint, key));
            self.endpoint(title, Some(CLOCK), at_most(instructions), endpoint);
        }
        // Each call brings a new key, and no place is free.
        let flooded = |strict| {
            let next = AtomicU64::new(0);
            let keyed = Keyed::by(scarce(), move |_: &Ask| Some(next.fetch_add(1, Relaxed))).places(FEW);
            let endpoint = Guard::new(if strict { keyed.strict() } else { keyed }).layer(Leaf);
            (0..20 * FEW.get()).for_each(|_| take_one(&endpoint, 0));
            endpoint
        };
        self.endpoint("kit: by number, a flood", Some(CLOCK), at_most(660), flooded(false));
        self.endpoint("kit: by number, a flood, strict", Some(ERROR), boxes(2.0, 840), flooded(true));
        let by_header = Keyed::by(plenty(), |request: &Ask| request.metadata().get(&API_KEY).cloned());
        let guard = Guard::new(by_header);
        self.endpoint_with("kit: by header", Some(WITH_CONTEXT), at_most(750), guard.layer(Leaf), with_context());
        let guard = Guard::new(Keyed::per_peer(plenty()));
        self.endpoint_with("kit: per peer", Some(WITH_CONTEXT), at_most(440), guard.layer(Leaf), with_context());
        let guard = Guard::new(Keyed::per_operation(plenty()));
        self.endpoint_with("kit: per operation", Some(WITH_CONTEXT), at_most(545), guard.layer(Leaf), with_context());
        let headers = Guard::new(Keyed::per_peer(plenty()).with_headers()).layer(Leaf);
        let title = "kit: per peer, with headers on answers";
        self.endpoint_with(title, Some(WITH_CONTEXT), boxes(6.0, 4_650), headers, with_context());
    }

    fn refusals(&mut self) {
        self.endpoint(ERROR, None, FREE, Guard::new(Refusing).layer(Leaf));
        self.endpoint("by hand: refused", Some(ERROR), FREE, emptied(Guard::new(Word::new(HOUR, 1)).layer(Leaf)));
        let limit = Guard::new(RateLimit::new(scarce())).layer(Leaf);
        self.endpoint("kit: one limit, refused", Some(ERROR), boxes(2.0, 525), emptied(limit));
        let keyed = Keyed::by(scarce(), |_: &Ask| Some(1_u64));
        let title = "kit: by number, refused";
        self.endpoint(title, Some(ERROR), boxes(2.0, 740), emptied(Guard::new(keyed).layer(Leaf)));
        let limit = Guard::new(RateLimit::new(scarce()).observe_only()).layer(Leaf);
        self.endpoint("kit: one limit, would be refused", Some(CLOCK), at_most(200), emptied(limit));
    }

    fn waiting(&mut self) {
        self.endpoint(TIMED, None, FREE, Timed);
        let delay = Delay::new(plenty()).layer(Leaf);
        self.endpoint("kit: a delay that need not wait", Some(TIMED), at_most(380), delay);
    }

    fn tower(&mut self) {
        let leaf = service_fn(leaf);
        self.service(SERVICE, None, FREE, leaf, Ask::new);
        self.service(TOWER, Some(SERVICE), FREE, Tower::new(Guard::new(Idle::<true>)).layer(leaf), Ask::new);
        let limit = Tower::new(Guard::new(RateLimit::new(plenty())));
        self.service("kit: tower face, one limit", Some(TOWER), boxes(1.0, 150), limit.layer(leaf), Ask::new);
        let limit = Guard::new(RateLimit::new(scarce()));
        emptied(limit.layer(Leaf));
        let limit = Tower::new(limit).layer(leaf);
        self.service("kit: tower face, one limit, refused", Some(TOWER), boxes(3.0, 710), limit, Ask::new);
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
const FEW: NonZeroUsize = NonZeroUsize::new(1_024).expect("more than zero");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// More than any loop can take; and never full, as where a limit matters.
pub(crate) fn plenty() -> Quota {
    Quota::per_second(nonzero!(1_000_000)).with_burst(NonZeroU32::MAX)
}

/// One an hour.
pub(crate) fn scarce() -> Quota {
    Quota::per_hour(NonZeroU32::MIN)
}

fn by_hand() -> Word {
    Word::new(Duration::from_micros(1), u32::MAX.into())
}

/// After the one call that it lets through.
fn emptied<E: Endpoint<Ask, Response = Response<u64>, Error = Error>>(endpoint: E) -> E {
    take_one(&endpoint, 0);
    endpoint
}

fn take_one<E: Endpoint<Ask, Response = Response<u64>, Error = Error>>(endpoint: &E, number: u64) {
    drop(answer(pin!(endpoint.call(Ask::new(number)))));
}

/// A call that has arrived: with a peer, a key in its metadata, and the name of what it calls.
fn with_context() -> impl Fn(u64) -> Ask {
    static INFO: OperationInfo = OperationInfo::new("pb.Add", "Sum");
    let mut metadata = HeaderMap::new();
    metadata.insert(API_KEY, HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
    let context = Context::received(metadata, Extensions::new())
        .with_extension(peer())
        .with_operation(Operation::from_static(&INFO));
    move |number| Ask::from_parts(context.clone(), number)
}

pub(crate) fn peer() -> Peer {
    let mut peer = Peer::default();
    peer.addr = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1234)));
    peer
}
