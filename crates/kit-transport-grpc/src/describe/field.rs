//! Fields, oneofs, and what they hold.

use super::{DescribeOneof, TypeRef};

/// A field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) of: FieldType,
    pub(super) label: Label,
    pub(super) unpacked: bool,
    pub(super) docs: String,
    pub(super) deprecated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Plain,
    Optional,
    Repeated,
}

impl Field {
    /// A field that is absent where it has its default value, as in `int64 a = 1`.
    pub fn new(name: impl Into<String>, number: u32, of: impl Into<FieldType>) -> Self {
        Self {
            name: name.into(),
            number,
            of: of.into(),
            label: Label::Plain,
            unpacked: false,
            docs: String::new(),
            deprecated: false,
        }
    }

    /// A field that may be absent, which its default value does not say: `optional int64 a = 1`. A message always may.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.label = Label::Optional;
        self
    }

    /// Any number of values: `repeated int64 a = 1`.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.label = Label::Repeated;
        self
    }

    /// Repeated numbers are each sent with their tag: `[packed = false]`.
    #[must_use]
    pub fn unpacked(mut self) -> Self {
        self.unpacked = true;
        self
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
}

/// What a field holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FieldType {
    /// A number, a text, bytes.
    Scalar(Scalar),
    /// A message or an enumeration.
    Type(TypeRef),
    /// Values by their keys, which are no floats and no bytes.
    Map(Scalar, MapValue),
}

impl FieldType {
    /// `map<key, value>`.
    pub fn map(key: Scalar, value: impl Into<MapValue>) -> Self {
        Self::Map(key, value.into())
    }
}

/// What a map holds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum MapValue {
    /// A number, a text, bytes.
    Scalar(Scalar),
    /// A message or an enumeration.
    Type(TypeRef),
}

impl From<MapValue> for FieldType {
    fn from(value: MapValue) -> Self {
        match value {
            MapValue::Scalar(scalar) => Self::Scalar(scalar),
            MapValue::Type(of) => Self::Type(of),
        }
    }
}

impl From<Scalar> for FieldType {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl From<TypeRef> for FieldType {
    fn from(of: TypeRef) -> Self {
        Self::Type(of)
    }
}

impl From<Scalar> for MapValue {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl From<TypeRef> for MapValue {
    fn from(of: TypeRef) -> Self {
        Self::Type(of)
    }
}

/// The scalar types of protobuf, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is what protobuf says")]
pub enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

/// Fields of which at most one is set.
#[derive(Clone, Debug)]
pub struct Oneof {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) docs: String,
}

impl Oneof {
    /// A oneof of these fields.
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        Self { name: name.into(), fields, docs: String::new() }
    }

    /// A oneof of the fields of a Rust enum.
    pub fn of<T: DescribeOneof>(name: impl Into<String>) -> Self {
        Self::new(name, T::fields())
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// For the derive: protobuf marks no oneof as deprecated.
    #[doc(hidden)]
    #[must_use]
    pub fn deprecated(self) -> Self {
        self
    }
}

/// A field or a oneof of a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Member {
    /// A field.
    Field(Field),
    /// Fields of which at most one is set.
    Oneof(Oneof),
}

impl From<Field> for Member {
    fn from(field: Field) -> Self {
        Self::Field(field)
    }
}

impl From<Oneof> for Member {
    fn from(oneof: Oneof) -> Self {
        Self::Oneof(oneof)
    }
}
