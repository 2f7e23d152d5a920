//! The laws of middleware, checked on every choice.

use kit_base::Instance;
use kit_lb::{Choice, Endpointer, Fixed, LeastLoaded, Random, RoundRobin, Weighted};
use kit_testing::laws::{Inner, Laws};
use tower_layer::layer_fn;

fn nodes(weights: &[u32]) -> Fixed {
    Fixed::new(weights.iter().enumerate().map(|(n, weight)| {
        let mut instance = Instance::new(n.to_string(), "x:1");
        instance.weight = *weight;
        instance
    }))
}

fn selecting<Ch: Choice>(weights: &'static [u32], choice: fn() -> Ch) {
    Laws::endpoint(move |_| {
        layer_fn(move |inner: Inner| {
            let factory = move |instance: &Instance| instance.id.parse().map(|node| inner.node(node));
            Endpointer::new(nodes(weights), factory).balanced_by(choice())
        })
    })
    .selecting(weights.to_vec())
    .check();
}

#[test]
fn round_robin_keeps_the_laws() {
    selecting(&[1, 1, 1], RoundRobin::new);
}

#[test]
fn random_keeps_the_laws() {
    selecting(&[1, 1, 1], || Random);
}

#[test]
fn weighted_keeps_the_laws() {
    selecting(&[1, 2, 4], || Weighted);
}

#[test]
fn the_least_loaded_keeps_the_laws() {
    selecting(&[1, 1, 1], || LeastLoaded);
    selecting(&[1, 2, 4], || LeastLoaded);
}

#[test]
fn one_instance_is_passed_through_to() {
    Laws::endpoint(|_| {
        layer_fn(|inner: Inner| {
            Endpointer::new(nodes(&[1]), move |_: &Instance| Ok::<_, std::io::Error>(inner.clone())).balancer()
        })
    })
    .pass_through()
    .check();
    Laws::stream(|_| {
        layer_fn(|inner: Inner| {
            Endpointer::new(nodes(&[1]), move |_: &Instance| Ok::<_, std::io::Error>(inner.clone())).balancer()
        })
    })
    .pass_through()
    .check();
}
