//! The small vocabulary beside calls: events, observers, readiness of the process, instances.

use std::sync::{Arc, Mutex};

use kit_base::{Event, Instance, Observer, Readiness};

#[test]
fn an_event_is_one_occurrence_unless_it_says_an_amount() {
    let mut opened = Event::new("breaker", "opened", "addsvc/sum");
    assert_eq!((opened.source, opened.what, opened.key, opened.amount), ("breaker", "opened", "addsvc/sum", 1.0));
    opened.amount = 2.5;
    assert_eq!(opened.amount, 2.5);
}

#[test]
fn a_closure_a_shared_observer_and_nothing_observe() {
    let seen = Mutex::new(Vec::new());
    let note = |event: &Event<'_>| seen.lock().unwrap().push(format!("{} {}", event.source, event.what));
    note.observe(&Event::new("breaker", "opened", ""));
    ().observe(&Event::new("nobody", "hears", ""));
    assert_eq!(*seen.lock().unwrap(), ["breaker opened"]);

    let total = Arc::new(Mutex::new(0.0));
    let sum = total.clone();
    let shared: Arc<dyn Observer> = Arc::new(move |event: &Event<'_>| *sum.lock().unwrap() += event.amount);
    let mut twice = Event::new("a", "b", "");
    twice.amount = 2.0;
    shared.clone().observe(&twice);
    shared.observe(&Event::new("a", "b", ""));
    assert_eq!(*total.lock().unwrap(), 3.0);
}

#[test]
fn a_process_is_not_ready_until_it_says_so_and_clones_share_it() {
    let readiness = Readiness::new();
    let read = readiness.clone();
    assert!(!read.is_ready());
    readiness.set(true);
    assert!(read.is_ready());
    read.set(false);
    assert!(!readiness.is_ready());
}

#[test]
fn an_instance_has_weight_one_and_nothing_else_is_known_of_it() {
    let instance = Instance::new("a", "[::1]:80");
    assert_eq!((instance.id.as_str(), instance.address.as_str(), instance.weight), ("a", "[::1]:80", 1));
    assert!(instance.scheme.is_none() && instance.server_name.is_none() && instance.zone.is_none());
    assert!(instance.tags.is_empty() && instance.metadata.is_empty());
}
