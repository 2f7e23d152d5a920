//! A message from path and query parameters, alone or over a JSON object: serde over texts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::codec::{Lenient, fold};

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
pub(crate) fn message<T>(params: &[(String, String)], body: Map<String, Value>, lenient: bool) -> Result<T, FieldError>
where
    T: DeserializeOwned,
{
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in params {
        texts.entry(name).or_default().push(value);
    }
    T::deserialize(Fields { texts, body, lenient })
}

/// All fields of a message, by name.
struct Fields<'a> {
    texts: BTreeMap<&'a str, Vec<&'a str>>,
    body: Map<String, Value>,
    lenient: bool,
}

impl Fields<'_> {
    fn visit<'de, V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, FieldError> {
        let Self { texts, body, lenient } = self;
        let body: BTreeMap<_, _> = if lenient { fold(body, names) } else { body.into_iter().collect() };
        let json = body.into_iter().filter(|(name, _)| !texts.contains_key(&**name)).collect::<Vec<_>>().into_iter();
        let json = json.map(|(name, value)| {
            let field = if lenient { Field::Lenient(name.clone(), value) } else { Field::Json(name.clone(), value) };
            (Cow::Owned(name), field)
        });
        let texts = texts.into_iter().map(|(name, values)| (Cow::Borrowed(name), Field::Texts(name, values)));
        visitor.visit_map(MapDeserializer::new(texts.chain(json)))
    }
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.visit(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.visit(names, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.texts.is_empty() && self.body.is_empty() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        enum identifier ignored_any
    }
}

/// One field, with its name for what may have to be said about it.
enum Field<'a> {
    Texts(&'a str, Vec<&'a str>),
    Json(String, Value),
    Lenient(String, Value),
}

impl IntoDeserializer<'_, FieldError> for Field<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Parses the text as what the message wants; the first one where a parameter was given more than once.
fn parse<T: FromStr>(name: &str, texts: &[&str], want: &str) -> Result<T, FieldError> {
    let text = texts.first().copied().unwrap_or_default();
    text.parse().map_err(|_| FieldError::custom(format_args!("parameter {name:?} is {text:?}, want {want}")))
}

/// A number as JSON has them. Rust also parses `NaN` and `inf`, which no answer could bring back.
struct Finite(f64);

impl FromStr for Finite {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self).ok_or(())
    }
}

fn in_field(name: &str) -> impl Fn(serde_json::Error) -> FieldError {
    move |error| FieldError::custom(format_args!("field {name:?}: {error}"))
}

fn in_param(name: &str) -> impl Fn(FieldError) -> FieldError {
    move |error| FieldError::custom(format_args!("parameter {name:?}: {error}"))
}

/// Hands the JSON of a field on.
macro_rules! json {
    ($field:expr, $method:ident($($arg:expr),*), $texts:pat => $else:expr) => {
        match $field {
            Self::Json(name, value) => value.$method($($arg),*).map_err(in_field(&name)),
            Self::Lenient(name, value) => Lenient(value).$method($($arg),*).map_err(in_field(&name)),
            $texts => $else,
        }
    };
}

macro_rules! parse {
    ($($method:ident $visit:ident $want:literal),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            json!(self, $method(visitor), Self::Texts(name, texts) => visitor.$visit(parse(name, &texts, $want)?))
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident($($arg:ident: $type:ty),*)),*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, FieldError> {
            json!(self, $method($($arg,)* visitor), Self::Texts(name, texts) => {
                let text: StrDeserializer<'_, FieldError> = texts.into_iter().next().unwrap_or_default().into_deserializer();
                text.$method($($arg,)* visitor).map_err(in_param(name))
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = FieldError;

    parse! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "a whole number", deserialize_i16 visit_i16 "a whole number",
        deserialize_i32 visit_i32 "a whole number", deserialize_i64 visit_i64 "a whole number",
        deserialize_i128 visit_i128 "a whole number", deserialize_u8 visit_u8 "a whole number",
        deserialize_u16 visit_u16 "a whole number", deserialize_u32 visit_u32 "a whole number",
        deserialize_u64 visit_u64 "a whole number", deserialize_u128 visit_u128 "a whole number"
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        json!(self, deserialize_f64(visitor), Self::Texts(name, texts) => {
            let Finite(number) = parse(name, &texts, "a number")?;
            visitor.visit_f64(number)
        })
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_f64(visitor)
    }

    as_text! {
        deserialize_any(), deserialize_str(), deserialize_string(), deserialize_char(), deserialize_bytes(),
        deserialize_byte_buf(), deserialize_identifier(), deserialize_ignored_any(), deserialize_map(),
        deserialize_unit(), deserialize_unit_struct(name: &'static str),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        json!(self, deserialize_option(visitor), texts => visitor.visit_some(texts))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        json!(self, deserialize_newtype_struct(name, visitor), texts => visitor.visit_newtype_struct(texts))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        json!(self, deserialize_seq(visitor), Self::Texts(name, texts) => {
            let each = texts.into_iter().map(|text| Self::Texts(name, vec![text]));
            visitor.visit_seq(SeqDeserializer::new(each))
        })
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
