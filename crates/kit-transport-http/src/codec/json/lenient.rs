//! A deserializer that fills messages from JSON as Go does.

use std::collections::BTreeMap;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// A value as Go fills a struct from: `null` leaves a field alone, and the case of keys does not matter.
/// Source: Go's `encoding/json`, `Unmarshal`.
pub(crate) struct Lenient(pub(crate) Value);

/// The fields of an object under the names that a struct gives them, without those that are `null`.
pub(crate) fn fold(object: Map<String, Value>, names: &'static [&'static str]) -> BTreeMap<String, Value> {
    let mut folded = BTreeMap::new();
    let (exact, others): (Vec<_>, Vec<_>) =
        object.into_iter().filter(|(_, value)| !value.is_null()).partition(|(key, _)| names.contains(&key.as_str()));
    for (key, value) in others {
        let lower = key.to_lowercase();
        let name = names.iter().find(|name| name.to_lowercase() == lower);
        folded.insert(name.map_or(key, |name| (*name).to_owned()), value);
    }
    folded.extend(exact);
    folded
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(Lenient))),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, Lenient(value)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let fields = match self.0 {
            Value::Null => BTreeMap::new(),
            Value::Object(fields) => fold(fields, names),
            other => return other.deserialize_map(visitor),
        };
        let fields = fields.into_iter().map(|(key, value)| (key, Lenient(value)));
        visitor.visit_map(MapDeserializer::new(fields))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
