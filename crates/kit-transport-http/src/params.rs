//! A message from path and query parameters, alone or over a JSON object: serde over texts.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// What is wrong with a parameter or field.
#[derive(Debug)]
pub(crate) struct FieldError(String);

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FieldError {}

impl serde::de::Error for FieldError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A message from these parameters, and from the fields of the body that no parameter gives.
pub(crate) fn message<T: DeserializeOwned>(params: &[(String, String)], body: Map<String, Value>) -> Result<T, FieldError> {
    let mut fields: Vec<(String, Field)> = Vec::new();
    for (name, value) in params {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, Field::Texts(_, values))) => values.push(value.clone()),
            _ => fields.push((name.clone(), Field::Texts(name.clone(), vec![value.clone()]))),
        }
    }
    for (name, value) in body {
        if !fields.iter().any(|(known, _)| *known == name) {
            fields.push((name, Field::Json(value)));
        }
    }
    T::deserialize(Fields(fields))
}

struct Fields(Vec<(String, Field)>);

impl<'de> Deserializer<'de> for Fields {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

enum Field {
    Texts(String, Vec<String>),
    Json(Value),
}

impl IntoDeserializer<'_, FieldError> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Field {
    /// Parses the text as what the message wants; the first one where a parameter was given more than once.
    fn parse<T: std::str::FromStr>(name: &str, texts: &[String], want: &str) -> Result<T, FieldError> {
        let text = texts.first().map(String::as_str).unwrap_or_default();
        text.parse().map_err(|_| FieldError::custom(format_args!("parameter {name:?} is {text:?}, want {want}")))
    }
}

macro_rules! parse {
    ($($method:ident $visit:ident $want:literal),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            match self {
                Self::Texts(name, texts) => visitor.$visit(Self::parse(&name, &texts, $want)?),
                Self::Json(value) => value.$method(visitor).map_err(FieldError::custom),
            }
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident($($arg:ident: $type:ty),*)),*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, FieldError> {
            match self {
                Self::Texts(_, texts) => texts.into_iter().next().unwrap_or_default().into_deserializer().$method($($arg,)* visitor),
                Self::Json(value) => value.$method($($arg,)* visitor).map_err(FieldError::custom),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Field {
    type Error = FieldError;

    parse! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "a whole number", deserialize_i16 visit_i16 "a whole number",
        deserialize_i32 visit_i32 "a whole number", deserialize_i64 visit_i64 "a whole number",
        deserialize_u8 visit_u8 "a whole number", deserialize_u16 visit_u16 "a whole number",
        deserialize_u32 visit_u32 "a whole number", deserialize_u64 visit_u64 "a whole number",
        deserialize_f32 visit_f32 "a number", deserialize_f64 visit_f64 "a number"
    }

    as_text! {
        deserialize_any(), deserialize_str(), deserialize_string(), deserialize_char(), deserialize_bytes(),
        deserialize_byte_buf(), deserialize_identifier(), deserialize_ignored_any(), deserialize_map(),
        deserialize_unit(), deserialize_unit_struct(name: &'static str),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Json(value) => value.deserialize_option(visitor).map_err(FieldError::custom),
            texts => visitor.visit_some(texts),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self {
            Self::Json(value) => value.deserialize_newtype_struct(name, visitor).map_err(FieldError::custom),
            texts => visitor.visit_newtype_struct(texts),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Json(value) => value.deserialize_seq(visitor).map_err(FieldError::custom),
            Self::Texts(name, texts) => {
                let each = texts.into_iter().map(|text| Self::Texts(name.clone(), vec![text]));
                visitor.visit_seq(SeqDeserializer::new(each))
            }
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_seq(visitor)
    }
}
