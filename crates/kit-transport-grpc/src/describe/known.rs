//! The well-known types: those of prost-types, and the wrappers that prost has for plain Rust types.

use bytes::Bytes;

use super::{Describe, DescribeOneof, Description, Field, FieldType, Oneof, Scalar, TypeRef, Value};

const ANY: &str = "google/protobuf/any.proto";
const DURATION: &str = "google/protobuf/duration.proto";
const EMPTY: &str = "google/protobuf/empty.proto";
const FIELD_MASK: &str = "google/protobuf/field_mask.proto";
const STRUCT: &str = "google/protobuf/struct.proto";
const TIMESTAMP: &str = "google/protobuf/timestamp.proto";
const WRAPPERS: &str = "google/protobuf/wrappers.proto";

/// Implements [`Describe`] for a message by its fields.
macro_rules! message {
    ($file:ident, $ty:ty, $name:literal $(, $field:expr)*) => {
        impl Describe for $ty {
            fn describe() -> Description {
                Description::message($name, vec![$($field.into()),*]).well_known($file)
            }
        }
    };
}

message!(EMPTY, (), "Empty");
message!(
    TIMESTAMP,
    prost_types::Timestamp,
    "Timestamp",
    Field::new("seconds", 1, Scalar::Int64),
    Field::new("nanos", 2, Scalar::Int32)
);
message!(
    DURATION,
    prost_types::Duration,
    "Duration",
    Field::new("seconds", 1, Scalar::Int64),
    Field::new("nanos", 2, Scalar::Int32)
);
message!(
    ANY,
    prost_types::Any,
    "Any",
    Field::new("type_url", 1, Scalar::String),
    Field::new("value", 2, Scalar::Bytes)
);
message!(FIELD_MASK, prost_types::FieldMask, "FieldMask", Field::new("paths", 1, Scalar::String).repeated());
message!(
    STRUCT,
    prost_types::Struct,
    "Struct",
    Field::new("fields", 1, FieldType::map(Scalar::String, TypeRef::of::<prost_types::Value>()))
);
message!(STRUCT, prost_types::Value, "Value", Oneof::of::<prost_types::value::Kind>("kind"));
message!(
    STRUCT,
    prost_types::ListValue,
    "ListValue",
    Field::new("values", 1, TypeRef::of::<prost_types::Value>()).repeated()
);
message!(WRAPPERS, f64, "DoubleValue", Field::new("value", 1, Scalar::Double));
message!(WRAPPERS, f32, "FloatValue", Field::new("value", 1, Scalar::Float));
message!(WRAPPERS, i64, "Int64Value", Field::new("value", 1, Scalar::Int64));
message!(WRAPPERS, u64, "UInt64Value", Field::new("value", 1, Scalar::Uint64));
message!(WRAPPERS, i32, "Int32Value", Field::new("value", 1, Scalar::Int32));
message!(WRAPPERS, u32, "UInt32Value", Field::new("value", 1, Scalar::Uint32));
message!(WRAPPERS, bool, "BoolValue", Field::new("value", 1, Scalar::Bool));
message!(WRAPPERS, String, "StringValue", Field::new("value", 1, Scalar::String));
message!(WRAPPERS, Vec<u8>, "BytesValue", Field::new("value", 1, Scalar::Bytes));
message!(WRAPPERS, Bytes, "BytesValue", Field::new("value", 1, Scalar::Bytes));

impl DescribeOneof for prost_types::value::Kind {
    fn fields() -> Vec<Field> {
        vec![
            Field::new("null_value", 1, TypeRef::of::<prost_types::NullValue>()),
            Field::new("number_value", 2, Scalar::Double),
            Field::new("string_value", 3, Scalar::String),
            Field::new("bool_value", 4, Scalar::Bool),
            Field::new("struct_value", 5, TypeRef::of::<prost_types::Struct>()),
            Field::new("list_value", 6, TypeRef::of::<prost_types::ListValue>()),
        ]
    }
}

impl Describe for prost_types::NullValue {
    fn describe() -> Description {
        Description::enumeration("NullValue", vec![Value::new("NULL_VALUE", 0)]).well_known(STRUCT)
    }
}

/// What the file of a well-known type holds besides. A file of that name is whole, or clients would take it for another.
pub(super) fn companions(file: &str) -> Vec<TypeRef> {
    match file {
        WRAPPERS => vec![
            TypeRef::of::<f64>(),
            TypeRef::of::<f32>(),
            TypeRef::of::<i64>(),
            TypeRef::of::<u64>(),
            TypeRef::of::<i32>(),
            TypeRef::of::<u32>(),
            TypeRef::of::<bool>(),
            TypeRef::of::<String>(),
            TypeRef::of::<Bytes>(),
        ],
        STRUCT => vec![TypeRef::of::<prost_types::Struct>()],
        _ => Vec::new(),
    }
}
