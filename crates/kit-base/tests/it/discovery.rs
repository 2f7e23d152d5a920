//! The publisher cell: the current set at once, then each change; the last known good stays.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use kit_base::{Error, Instance, Instancer, Instances, Publisher, Snapshot, Subscription};

use crate::support::now;

fn instance(id: &str) -> Instance {
    Instance::new(id, format!("{id}:80"))
}

fn ids(snapshot: &Snapshot) -> Vec<&str> {
    match &snapshot.instances {
        Instances::Known(known) => known.iter().map(|instance| instance.id.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll(subscription: &mut Subscription, woken: &Arc<Woken>) -> Poll<Option<Arc<Snapshot>>> {
    subscription.poll_changed(&mut Context::from_waker(&Waker::from(woken.clone())))
}

fn is_quiet(subscription: &mut Subscription) -> bool {
    poll(subscription, &Arc::default()).is_pending()
}

#[test]
fn a_subscriber_gets_the_current_snapshot_at_once() {
    let publisher = Publisher::new();
    let mut early = publisher.subscribe();
    assert_eq!(now(early.changed()).unwrap().instances, Instances::Pending);
    assert!(is_quiet(&mut early));

    let t = Instant::now();
    publisher.publish(vec![instance("a")], t);
    let mut late = publisher.subscribe();
    assert_eq!(ids(&late.current()), ["a"]);
    let snapshot = now(late.changed()).unwrap();
    assert_eq!((ids(&snapshot), snapshot.since), (vec!["a"], Some(t)));
    assert!(is_quiet(&mut late));
    assert_eq!(ids(&now(early.changed()).unwrap()), ["a"]);
}

/// Go kit's SD-5: the initial push, sorted; a changed set is pushed, an identical one is not.
#[test]
fn a_changed_set_is_published_sorted_and_an_identical_one_is_not() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    let t = Instant::now();
    publisher.publish(vec![instance("c"), instance("a"), instance("b")], t);
    assert_eq!(ids(&now(subscription.changed()).unwrap()), ["a", "b", "c"]);

    let later = t + Duration::from_secs(5);
    publisher.publish(vec![instance("b"), instance("c"), instance("a")], later);
    assert!(is_quiet(&mut subscription));
    // Its age is known nevertheless.
    assert_eq!(subscription.current().since, Some(later));

    publisher.publish(vec![instance("b")], later);
    assert_eq!(ids(&now(subscription.changed()).unwrap()), ["b"]);
    publisher.publish(vec![], later);
    assert!(ids(&now(subscription.changed()).unwrap()).is_empty());
}

#[test]
fn a_change_of_anything_in_an_instance_is_a_change() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    publisher.publish(vec![instance("a")], Instant::now());
    now(subscription.changed()).unwrap();
    let mut heavier = instance("a");
    heavier.weight = 2;
    publisher.publish(vec![heavier.clone()], Instant::now());
    assert_eq!(now(subscription.changed()).unwrap().instances, Instances::Known([heavier].into_iter().collect()));
}

/// Go kit called the factory twice for one, and leaked the first connection.
#[test]
fn of_several_instances_with_one_id_the_last_one_stays() {
    let publisher = Publisher::new();
    let versions = |id: &str| (1..=3).map(|n| Instance::new(id, format!("{id}:{n}"))).collect::<Vec<_>>();
    publisher.publish([versions("b"), versions("a")].concat(), Instant::now());
    let snapshot = publisher.subscribe().current();
    let Instances::Known(known) = &snapshot.instances else { panic!("{snapshot:?}") };
    let addresses: Vec<_> = known.iter().map(|instance| &*instance.address).collect();
    assert_eq!(addresses, ["a:3", "b:3"]);
}

/// Go kit's SD-6: fan-out to two, and nothing more to one that has gone.
#[test]
fn every_subscriber_sees_each_change_and_a_dropped_one_is_forgotten() {
    let publisher = Publisher::new();
    let (mut one, mut two) = (publisher.subscribe(), publisher.subscribe());
    let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
    for (subscription, woken) in [(&mut one, &woken[0]), (&mut two, &woken[1])] {
        assert!(poll(subscription, woken).is_ready());
        assert!(poll(subscription, woken).is_pending());
    }
    publisher.publish(vec![instance("a")], Instant::now());
    assert_eq!(woken.each_ref().map(|woken| woken.0.load(SeqCst)), [1, 1]);
    for (subscription, woken) in [(&mut one, &woken[0]), (&mut two, &woken[1])] {
        assert!(poll(subscription, woken).is_ready());
        assert!(poll(subscription, woken).is_pending());
    }
    drop(one);
    publisher.publish(vec![instance("b")], Instant::now());
    assert_eq!(woken.each_ref().map(|woken| woken.0.load(SeqCst)), [1, 2]);
}

/// A registry may be quiet for days, while subscribers come and go.
#[test]
fn nothing_of_a_dropped_subscription_stays_behind() {
    let publisher = Publisher::new();
    let wakers: Vec<Weak<Woken>> = (0..100)
        .map(|_| {
            let (mut subscription, woken) = (publisher.subscribe(), Arc::new(Woken::default()));
            assert!(poll(&mut subscription, &woken).is_ready());
            assert!(poll(&mut subscription, &woken).is_pending());
            Arc::downgrade(&woken)
        })
        .collect();
    assert_eq!(wakers.iter().filter(|waker| waker.strong_count() > 0).count(), 0);
}

#[test]
fn a_subscription_that_moves_to_another_task_wakes_that_one() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    let tasks: [Arc<Woken>; 2] = Default::default();
    assert!(poll(&mut subscription, &tasks[0]).is_ready());
    assert!(poll(&mut subscription, &tasks[0]).is_pending());
    assert!(poll(&mut subscription, &tasks[1]).is_pending());
    publisher.publish(vec![], Instant::now());
    assert_eq!(tasks[1].0.load(SeqCst), 1);
}

#[test]
fn changes_in_between_are_skipped_for_a_slow_subscriber() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    for id in ["a", "b", "c"] {
        publisher.publish(vec![instance(id)], Instant::now());
    }
    assert_eq!(ids(&now(subscription.changed()).unwrap()), ["c"]);
    assert!(is_quiet(&mut subscription));
}

#[test]
fn a_failure_keeps_the_last_known_good_set_and_its_age() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    let t = Instant::now();
    publisher.publish(vec![instance("a")], t);
    now(subscription.changed()).unwrap();

    publisher.fail(Error::unavailable("no registry"));
    let snapshot = now(subscription.changed()).unwrap();
    assert_eq!((ids(&snapshot), snapshot.since), (vec!["a"], Some(t)));
    assert_eq!(snapshot.error.as_ref().unwrap().message(), "no registry");
}

#[test]
fn the_end_of_an_error_is_a_change_even_if_the_set_is_the_same() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    publisher.publish(vec![instance("a")], Instant::now());
    publisher.fail(Error::unavailable("no registry"));
    now(subscription.changed()).unwrap();
    publisher.publish(vec![instance("a")], Instant::now());
    let snapshot = now(subscription.changed()).unwrap();
    assert_eq!(ids(&snapshot), ["a"]);
    assert!(snapshot.error.is_none());
}

#[test]
fn a_failure_before_the_first_set_leaves_it_pending() {
    let publisher = Publisher::new();
    publisher.fail(Error::unavailable("no registry"));
    let snapshot = publisher.subscribe().current();
    assert_eq!((&snapshot.instances, snapshot.since), (&Instances::Pending, None));
    assert!(snapshot.error.is_some());
}

#[test]
fn a_service_that_the_registry_does_not_know_is_absent_and_not_empty() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    publisher.publish(vec![], Instant::now());
    now(subscription.changed()).unwrap();
    publisher.publish_absent(Instant::now());
    assert_eq!(now(subscription.changed()).unwrap().instances, Instances::Absent);
    publisher.publish_absent(Instant::now());
    assert!(is_quiet(&mut subscription));
}

#[test]
fn the_end_comes_after_the_last_snapshot_when_all_publishers_are_gone() {
    let publisher = Publisher::new();
    let other = publisher.clone();
    let (mut subscription, mut late) = (publisher.subscribe(), publisher.subscribe());
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut subscription, &woken).is_ready());
    drop(publisher);
    assert!(poll(&mut subscription, &woken).is_pending());
    other.publish(vec![instance("a")], Instant::now());
    drop(other);
    assert!(woken.0.load(SeqCst) > 0);
    assert_eq!(ids(&now(subscription.changed()).unwrap()), ["a"]);
    assert!(now(subscription.changed()).is_none());
    assert!(now(subscription.changed()).is_none());
    assert_eq!(ids(&now(late.changed()).unwrap()), ["a"]);
    assert!(now(late.changed()).is_none());
}

#[test]
fn a_waiting_subscriber_is_woken_by_the_end() {
    let publisher = Publisher::default();
    let (mut subscription, woken) = (publisher.subscribe(), Arc::new(Woken::default()));
    assert!(poll(&mut subscription, &woken).is_ready());
    assert!(poll(&mut subscription, &woken).is_pending());
    drop(publisher);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(matches!(poll(&mut subscription, &woken), Poll::Ready(None)));
}

#[test]
fn nothing_is_lost_when_the_future_of_a_change_is_dropped() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    now(subscription.changed()).unwrap();
    {
        let mut waiting = pin!(subscription.changed());
        assert!(crate::support::poll_once(waiting.as_mut()).is_pending());
        publisher.publish(vec![instance("a")], Instant::now());
    }
    assert_eq!(ids(&now(subscription.changed()).unwrap()), ["a"]);
}

#[tokio::test]
async fn two_tasks_follow_one_publisher() {
    let publisher = Publisher::new();
    let follow = |mut subscription: Subscription| async move {
        let mut last = 0;
        while let Some(snapshot) = subscription.changed().await {
            if let Instances::Known(known) = &snapshot.instances {
                last = known.len();
            }
        }
        last
    };
    let tasks = [tokio::spawn(follow(publisher.subscribe())), tokio::spawn(follow(publisher.subscribe()))];
    for n in 1..=20 {
        publisher.publish((0..n).map(|id| instance(&id.to_string())).collect(), Instant::now());
        tokio::task::yield_now().await;
    }
    drop(publisher);
    for task in tasks {
        assert_eq!(task.await.unwrap(), 20);
    }
}

#[test]
fn publishing_and_subscribing_from_many_threads_ends_in_one_state() {
    let publisher = Publisher::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let publisher = publisher.clone();
            scope.spawn(move || {
                for n in 0..200 {
                    publisher.publish(vec![instance(&format!("{thread}-{n}"))], Instant::now());
                    drop(publisher.subscribe().current());
                }
            });
        }
    });
    publisher.publish(vec![instance("last")], Instant::now());
    assert_eq!(ids(&publisher.subscribe().current()), ["last"]);
}

#[test]
fn one_change_leaves_the_other_instances_where_they_are() {
    let publisher = Publisher::new();
    let t = Instant::now();
    publisher.publish((0..1_000).map(|n| instance(&format!("{n:04}"))).collect(), t);
    let known = |publisher: &Publisher| match &publisher.subscribe().current().instances {
        Instances::Known(known) => known.clone(),
        other => panic!("{other:?}"),
    };
    let before = known(&publisher);
    publisher.publish_one(Instance::new("0500", "elsewhere:80"), t);
    let after = known(&publisher);
    assert_eq!((before.len(), after.len()), (1_000, 1_000));
    let shared = before.chunks().iter().zip(after.chunks()).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
    assert_eq!(shared + 1, before.chunks().len());
    assert_eq!(after.iter().find(|instance| instance.id == "0500").unwrap().address, "elsewhere:80");

    publisher.publish_gone("0500", t);
    publisher.publish_gone("no such", t);
    assert_eq!(known(&publisher).len(), 999);
    assert!(known(&publisher).iter().all(|instance| instance.id != "0500"));
}

/// Against a plain map, over thousands of random changes, a full set among them now and then: chunks split and vanish, and
/// nothing else.
#[test]
fn changes_one_by_one_give_the_same_set_as_the_full_one() {
    let (publisher, mut model, mut state) = (Publisher::new(), BTreeMap::new(), 7u64);
    let t = Instant::now();
    for round in 0..5_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = format!("{}", (state >> 33) % 400);
        let change = ((state >> 20) % 5 < 3).then(|| Instance::new(&*id, format!("{id}:{round}")));
        match &change {
            Some(instance) => drop(model.insert(id.clone(), instance.clone())),
            None => drop(model.remove(&id)),
        }
        match change {
            _ if round % 64 == 0 => publisher.publish(model.values().cloned().collect(), t),
            Some(instance) => publisher.publish_one(instance, t),
            None => publisher.publish_gone(&id, t),
        }
        let snapshot = publisher.subscribe().current();
        let Instances::Known(known) = &snapshot.instances else { panic!("{snapshot:?}") };
        assert_eq!((known.len(), known.is_empty()), (model.len(), model.is_empty()));
        if round % 100 == 0 {
            assert!(known.iter().map(|held| &**held).eq(model.values()), "{round}");
            assert!(known.chunks().iter().all(|chunk| (1..=64).contains(&chunk.len())));
            assert_eq!(*known, model.values().cloned().collect());
        }
    }
}

#[test]
fn what_is_published_again_is_shared_with_the_last_set() {
    let publisher = Publisher::new();
    publisher.publish(vec![instance("a"), instance("b")], Instant::now());
    let before = publisher.subscribe().current();
    publisher.publish(vec![instance("a"), Instance::new("b", "elsewhere:80"), instance("c")], Instant::now());
    let after = publisher.subscribe().current();
    let (Instances::Known(before), Instances::Known(after)) = (&before.instances, &after.instances) else { panic!() };
    let same: Vec<_> = before.iter().zip(after.iter()).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
    assert_eq!(same, [true, false]);
}

#[test]
fn a_full_set_shares_every_chunk_that_is_the_same_with_the_last_one() {
    let publisher = Publisher::new();
    let mut all: Vec<_> = (0..1_000).map(|n| instance(&format!("{n:04}"))).collect();
    publisher.publish(all.clone(), Instant::now());
    let known = |publisher: &Publisher| match &publisher.subscribe().current().instances {
        Instances::Known(known) => known.clone(),
        other => panic!("{other:?}"),
    };
    let mut before = known(&publisher);
    let chunks = before.chunks().len();
    all[0].weight = 2; // changed
    let last = all.pop(); // gone
    all.insert(500, instance("0499-a")); // new
    all.push(instance("9999")); // new, after all others
    for same in [chunks - 3, chunks] {
        publisher.publish(all.clone(), Instant::now());
        let after = known(&publisher);
        let shared = before.chunks().iter().filter(|a| after.chunks().iter().any(|b| Arc::ptr_eq(a, b))).count();
        assert_eq!((shared, after.len()), (same, 1_001), "{last:?}");
        before = after;
    }
}

#[test]
fn one_that_is_published_again_as_it_is_is_no_news() {
    let publisher = Publisher::new();
    publisher.publish(vec![instance("a"), instance("b")], Instant::now());
    let mut subscription = publisher.subscribe();
    now(subscription.changed()).unwrap();
    publisher.publish_one(instance("b"), Instant::now());
    publisher.publish_gone("c", Instant::now());
    assert!(is_quiet(&mut subscription));
}

/// One that asks the publisher itself, for one.
#[test]
fn an_error_that_is_over_is_dropped_when_the_cell_is_free() {
    #[derive(Debug)]
    struct Asks(Publisher);
    impl std::fmt::Display for Asks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("asks")
        }
    }
    impl std::error::Error for Asks {}
    impl Drop for Asks {
        fn drop(&mut self) {
            drop(self.0.subscribe().current());
        }
    }
    let publisher = Publisher::new();
    for _ in 0..2 {
        publisher.fail(Error::unavailable("no registry").with_source(Asks(publisher.clone())));
    }
    publisher.publish(vec![], Instant::now());
}

#[test]
fn a_set_that_is_too_old_is_forgotten_and_its_error_and_time_stay() {
    let publisher = Publisher::new();
    let mut subscription = publisher.subscribe();
    let t = Instant::now();
    publisher.publish(vec![instance("a")], t);
    publisher.fail(Error::unavailable("the agent is down"));
    now(subscription.changed()).unwrap();
    publisher.expire();
    let snapshot = now(subscription.changed()).unwrap();
    assert_eq!((&snapshot.instances, snapshot.since), (&Instances::Pending, Some(t)));
    assert_eq!(snapshot.error.as_ref().unwrap().message(), "the agent is down");
    publisher.expire();
    assert!(is_quiet(&mut subscription), "there is nothing more to forget");
    publisher.publish(vec![instance("a")], t);
    let snapshot = now(subscription.changed()).unwrap();
    assert_eq!((ids(&snapshot), snapshot.error.is_none()), (vec!["a"], true));
}

/// A picker that asks for the set now must not wait until a large one has been sorted and compared.
#[test]
fn the_cell_can_be_read_while_a_full_set_is_made() {
    let publisher = Publisher::new();
    let subscription = publisher.subscribe();
    // As long as it takes: without order, so that it must be sorted, and with ids that differ at their end.
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let all: Vec<_> = (0..200_000).map(|n| instance(&format!("{}{}", "-".repeat(100), key(n)))).collect();
    let publishing = std::thread::spawn(move || {
        let began = Instant::now();
        publisher.publish(all, began);
        began.elapsed()
    });
    let mut longest = Duration::ZERO;
    while !publishing.is_finished() {
        let asked = Instant::now();
        drop(subscription.current());
        longest = longest.max(asked.elapsed());
        std::thread::yield_now();
    }
    let took = publishing.join().unwrap();
    assert!(longest < took / 2, "{longest:?} of {took:?}");
}

/// From any size to any other around the borders of chunks, with new ids before, between and after those that are there, in no
/// order and with some twice.
#[test]
fn full_sets_of_every_size_around_a_chunk_follow_one_another() {
    let t = Instant::now();
    let sizes = [0usize, 1, 2, 63, 64, 65, 127, 128, 129, 192, 193];
    for (before, after) in sizes.iter().flat_map(|before| sizes.map(|after| (*before, after))) {
        for (step, first) in [(1, 500), (2, 499), (3, 300), (7, 0)] {
            let publisher = Publisher::new();
            publisher.publish((500..500 + before).map(|n| instance(&format!("{n:04}"))).collect(), t);
            let mut ids: Vec<_> = (0..after).map(|n| format!("{:04}", first + n * step)).collect();
            ids.reverse();
            let mut given: Vec<_> = ids.iter().step_by(5).map(|id| Instance::new(id.clone(), "overridden")).collect();
            given.extend(ids.iter().map(|id| instance(id)));
            publisher.publish(given, t);
            let snapshot = publisher.subscribe().current();
            let Instances::Known(known) = &snapshot.instances else { panic!("{snapshot:?}") };
            ids.reverse();
            assert!(known.iter().map(|held| &**held).eq(&ids.iter().map(|id| instance(id)).collect::<Vec<_>>()));
            assert!(known.chunks().iter().all(|chunk| (1..=64).contains(&chunk.len())));
            assert!(known.chunks().len() <= before.div_ceil(64) + after.div_ceil(64), "{before} {after}");
        }
    }
}
