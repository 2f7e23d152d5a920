//! What the derive's code needs and no user does.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

use super::Description;

/// The message in a field's type.
#[diagnostic::on_unimplemented(message = "a message field is an `Option`, a `Vec`, a map, or `required`, not `{Self}`")]
pub trait Holds {
    /// The message.
    type Item;
}

impl<T> Holds for Option<T> {
    type Item = T;
}

impl<T> Holds for Vec<T> {
    type Item = T;
}

impl<K, V, S> Holds for HashMap<K, V, S> {
    type Item = V;
}

impl<K, V> Holds for BTreeMap<K, V> {
    type Item = V;
}

/// Gives a message the name of `prost::Name`, where it has one: an inherent method goes before that of a trait.
#[derive(Debug)]
pub struct Named<T>(PhantomData<T>);

impl<T> Named<T> {
    /// For a message of this type.
    #[allow(clippy::new_without_default, reason = "it is made by generated code only")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: prost::Name> Named<T> {
    /// The description with name and package as `prost::Name` has them.
    pub fn name(self, description: Description) -> Description {
        let full = T::full_name();
        let inside = full.strip_prefix(T::PACKAGE).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&full);
        description.name(inside).package(T::PACKAGE)
    }
}

/// A message without `prost::Name`.
pub trait Unnamed {
    /// The description as it is.
    fn name(self, description: Description) -> Description;
}

impl<T> Unnamed for Named<T> {
    fn name(self, description: Description) -> Description {
        description
    }
}
