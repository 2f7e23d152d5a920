//! The registry within the process.

use kit_base::{Instance, Instancer, Instances, Registrar, Registration};
use kit_lb::Registry;

fn addresses(registry: &Registry) -> Vec<String> {
    match &registry.subscribe().current().instances {
        Instances::Known(known) => known.iter().map(|instance| instance.address.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_registered_is_there_until_it_is_deregistered_or_dropped() {
    let registry = Registry::new();
    assert!(addresses(&registry).is_empty(), "empty, not unknown");
    let a = registry.register(Instance::new("a", "a:1")).await.unwrap();
    let b = registry.clone().register(Instance::new("b", "b:1")).await.unwrap();
    assert_eq!(addresses(&registry), ["a:1", "b:1"]);
    a.deregister().await.unwrap();
    assert_eq!(addresses(&registry), ["b:1"]);
    drop(b);
    assert!(addresses(&registry).is_empty());
}

/// A new process takes the name of the old one before the old one has said goodbye.
#[tokio::test]
async fn a_registration_that_was_replaced_takes_nothing_with_it() {
    let registry = Registry::new();
    let old = registry.register(Instance::new("a", "old:1")).await.unwrap();
    let new = registry.register(Instance::new("a", "new:1")).await.unwrap();
    drop(old);
    assert_eq!(addresses(&registry), ["new:1"]);
    registry.insert(Instance::new("a", "newest:1"));
    new.deregister().await.unwrap();
    assert_eq!(addresses(&registry), ["newest:1"]);
    assert!(registry.remove("a"));
    assert!(!registry.remove("a"));
}
