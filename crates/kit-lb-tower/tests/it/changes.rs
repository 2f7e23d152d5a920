//! The stream itself: what it says, and what not.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{Error, Event, Instance, Instancer, Publisher, Subscription};
use kit_lb::Registry;
use kit_lb_tower::{Discovered, Settings};
use tokio::time::{Instant, advance};

use crate::support::{address, changes, instance, next};

#[tokio::test]
async fn what_is_known_already_is_told_at_once_and_then_each_change() {
    let registry = Registry::new();
    registry.insert(instance("a", "x:1"));
    let mut discovered = Discovered::new(registry.clone(), address);
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    registry.insert(instance("b", "x:2"));
    assert_eq!(changes(&mut discovered), ["+b=x:2"]);
    registry.remove("a");
    assert_eq!(changes(&mut discovered), ["-a"]);
}

#[tokio::test]
async fn several_changes_between_two_polls_are_told_one_by_one_new_instances_first() {
    let registry = Registry::new();
    for id in ["a", "b", "c"] {
        registry.insert(instance(id, "old:1"));
    }
    let mut discovered = Discovered::new(registry.clone(), address);
    assert_eq!(changes(&mut discovered), ["+a=old:1", "+b=old:1", "+c=old:1"]);
    for id in ["a", "c"] {
        registry.remove(id);
    }
    registry.insert(instance("d", "new:1"));
    registry.insert(instance("e", "new:1"));
    registry.remove("e");
    assert_eq!(next(&mut discovered).as_deref(), Some("+d=new:1"));
    // What was not told yet gives way to what is true now.
    registry.insert(instance("a", "old:1"));
    assert_eq!(changes(&mut discovered), ["-c"]);
}

#[tokio::test]
async fn an_instance_that_is_reached_in_another_way_is_removed_and_inserted() {
    let registry = Registry::new();
    let mut here = instance("a", "x:1");
    registry.insert(here.clone());
    let mut discovered = Discovered::new(registry.clone(), address);
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    for change in [
        |instance: &mut Instance| instance.address = "y:2".into(),
        |instance: &mut Instance| instance.scheme = Some("https".into()),
        |instance: &mut Instance| instance.server_name = Some("add.example".into()),
    ] {
        change(&mut here);
        registry.insert(here.clone());
        assert_eq!(changes(&mut discovered), ["-a", "+a=y:2"]);
    }
}

#[tokio::test]
async fn weight_zone_tags_and_metadata_change_nothing_but_a_weight_of_0_takes_the_instance_out() {
    let registry = Registry::new();
    let mut here = instance("a", "x:1");
    registry.insert(here.clone());
    let mut discovered = Discovered::new(registry.clone(), address);
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    (here.weight, here.zone, here.tags) = (7, Some("eu-1a".into()), vec!["canary".into()]);
    here.metadata.insert("version".into(), "2".into());
    registry.insert(here.clone());
    assert!(changes(&mut discovered).is_empty());
    here.weight = 0;
    registry.insert(here.clone());
    assert_eq!(changes(&mut discovered), ["-a"]);
    here.weight = 1;
    registry.insert(here);
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
}

#[tokio::test]
async fn a_registry_that_fails_changes_nothing_and_one_that_expires_or_forgets_the_service_empties_the_set() {
    let now = || Instant::now().into_std();
    let publisher = Publisher::new();
    let mut discovered = Discovered::new(publisher.clone(), address);
    assert!(changes(&mut discovered).is_empty(), "nothing is known yet");
    publisher.publish(vec![instance("a", "x:1")], now());
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    publisher.fail(Error::unavailable("no leader"));
    assert!(changes(&mut discovered).is_empty());
    publisher.expire();
    assert_eq!(changes(&mut discovered), ["-a"]);
    publisher.publish(vec![instance("a", "x:1")], now());
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    publisher.publish_absent(now());
    assert_eq!(changes(&mut discovered), ["-a"]);
}

/// Ends when it is told, though it is still there.
struct Ending(Mutex<Option<Publisher>>);

impl Instancer for Ending {
    fn subscribe(&self) -> Subscription {
        self.0.lock().expect("no panic").take().expect("one subscription").subscribe()
    }
}

#[tokio::test]
async fn an_instancer_that_ends_leaves_its_last_set_and_the_stream_goes_on_for_ever() {
    let publisher = Publisher::new();
    publisher.publish(vec![instance("a", "x:1")], Instant::now().into_std());
    // The last publisher is gone with the subscription.
    let mut discovered = Discovered::new(Ending(Mutex::new(Some(publisher))), address);
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    assert!(changes(&mut discovered).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_fails_or_panics_is_tried_again_after_a_pause_and_not_at_each_change() {
    let (broken, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let note = move |event: &Event<'_>| seen.lock().unwrap().push(format!("{} {}", event.what, event.key));
    let registry = Registry::new();
    for id in ["a", "b", "c"] {
        registry.insert(instance(id, "x:1"));
    }
    let (is_broken, tried) = (Arc::clone(&broken), Arc::clone(&tries));
    let factory = move |instance: &Instance| {
        tried.fetch_add(1, SeqCst);
        match &*instance.id {
            "a" if is_broken.load(SeqCst) => Err("no certificate"),
            "b" if is_broken.load(SeqCst) => panic!("as told"),
            _ => Ok(instance.address.clone()),
        }
    };
    let mut discovered = Discovered::with(Settings::new().observer(note), registry.clone(), factory);
    assert_eq!(changes(&mut discovered), ["+c=x:1"]);
    registry.insert(instance("d", "x:1"));
    assert_eq!(changes(&mut discovered), ["+d=x:1"]);
    assert_eq!(tries.load(SeqCst), 4, "what has failed waits for its time");
    advance(Duration::from_millis(101)).await;
    assert!(changes(&mut discovered).is_empty());
    assert_eq!(tries.load(SeqCst), 6, "the first pause is 100 ms");
    // An instance that was never inserted is never removed.
    registry.remove("b");
    assert!(changes(&mut discovered).is_empty());
    broken.store(false, SeqCst);
    assert!(changes(&mut discovered).is_empty(), "not before its time");
    advance(Duration::from_secs(10)).await;
    assert_eq!(changes(&mut discovered), ["+a=x:1"]);
    registry.remove("a");
    assert_eq!(changes(&mut discovered), ["-a"]);
    let events = events.lock().unwrap();
    assert_eq!(events[..3], ["connect_failed a", "connect_failed b", "added c"]);
    assert_eq!(events[events.len() - 2..], ["added a", "removed a"]);
}

#[tokio::test]
async fn the_instancer_ends_with_the_stream() {
    let registry = Registry::new();
    let held = Arc::new(registry);
    struct Held(Arc<Registry>);
    impl Instancer for Held {
        fn subscribe(&self) -> Subscription {
            self.0.subscribe()
        }
    }
    let discovered = Discovered::new(Held(Arc::clone(&held)), address);
    assert_eq!(Arc::strong_count(&held), 2);
    drop(discovered);
    assert_eq!(Arc::strong_count(&held), 1);
}
