//! One state for each operation, a bounded number of them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kit_endpoint::base::{End, Gate, Guard, Now};
use kit_endpoint::{Endpoint, EndpointExt, Error, Operation, Request, nop, per_operation};

/// Counts what runs and what has run.
#[derive(Debug, Default)]
struct Count {
    running: AtomicU32,
    done: AtomicU32,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Count {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.running.fetch_add(1, SeqCst);
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.running.fetch_sub(1, SeqCst);
        self.done.fetch_add(1, SeqCst);
    }
}

fn operation(method: &str) -> Operation {
    Operation::new("addsvc", method.to_owned())
}

#[tokio::test]
async fn each_operation_has_a_state_of_its_own_which_clones_share() {
    let guard = Guard::new(per_operation(|_| Count::default()));
    for method in ["sum", "concat", "sum"] {
        nop::<u8, ()>().layer(guard.clone()).named(operation(method)).call(Request::new(1)).await.unwrap();
    }
    let done = |method| guard.gate().gate(&operation(method)).map(|count| count.done.load(SeqCst));
    assert_eq!((done("sum"), done("concat"), done("other")), (Some(2), Some(1), None));
    // A call that is dropped is finished by the gate that admitted it.
    drop(nop::<u8, ()>().layer(guard.clone()).named(operation("sum")).call(Request::new(1)));
    assert_eq!(guard.gate().gate(&operation("sum")).unwrap().running.load(SeqCst), 0);
    assert_eq!(done("sum"), Some(3));
    // A fresh one has the same settings and no state.
    assert!(guard.gate().fresh().gate(&operation("sum")).is_none());
}

#[tokio::test]
async fn operations_beyond_the_bound_share_one_state() {
    let guard = Guard::new(per_operation(|_| Count::default()).with_most(NonZeroUsize::new(2).unwrap()));
    for n in 0..100 {
        let named = nop::<u8, ()>().layer(guard.clone()).named(operation(&format!("method{n}")));
        named.call(Request::new(1)).await.unwrap();
    }
    let done = |operation: &Operation| guard.gate().gate(operation).map(|count| count.done.load(SeqCst));
    assert_eq!(done(&operation("method0")), Some(1));
    assert_eq!(done(&operation("method2")), None);
    assert_eq!(done(&Operation::UNMATCHED), Some(98));
}
