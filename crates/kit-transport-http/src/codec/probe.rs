//! Whether a message is a struct. Serde would fill one from an array, field by field, which nobody means in JSON.

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The name of the struct that `T` is read as, if it is one.
pub(super) fn struct_name<'de, T: Deserialize<'de>>() -> Option<&'static str> {
    let mut name = None;
    // The probe always fails; what counts is what it was asked for.
    let _ = T::deserialize(Probe(&mut name));
    name
}

struct Probe<'a>(&'a mut Option<&'static str>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe has no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(name);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
