//! The descriptor of one message or enumeration.

use std::collections::BTreeSet;

use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, EnumValueOptions,
    FieldDescriptorProto, FieldOptions, MessageOptions, OneofDescriptorProto,
};

use super::description::Body;
use super::field::{FieldType, Label, MapValue, Member};
use super::names::{json, map_entry};
use super::walk::{Entry, Walk};
use super::{DescribeError, Field, Scalar, TypeRef, Value};

/// A descriptor, without what is nested in it but entries of maps.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) proto: Proto,
    /// By the path inside of it.
    pub(super) docs: Vec<(Vec<i32>, String)>,
    /// The files of what it holds.
    pub(super) imports: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Proto {
    Message(DescriptorProto),
    Enum(EnumDescriptorProto),
}

pub(super) fn emit(walk: &Walk, entry: &Entry) -> Result<Emitted, DescribeError> {
    let short = entry.name.rsplit('.').next().map(str::to_owned);
    let mut emitter = Emitter { walk, entry, docs: Vec::new(), imports: BTreeSet::new() };
    emitter.docs.push((Vec::new(), entry.description.docs.clone()));
    let proto = match &entry.description.body {
        Body::Message(members) => Proto::Message(emitter.message(short, members)?),
        Body::Enum(values) => Proto::Enum(emitter.enumeration(short, values)),
    };
    Ok(Emitted { proto, docs: emitter.docs, imports: emitter.imports })
}

struct Emitter<'a> {
    walk: &'a Walk,
    entry: &'a Entry,
    docs: Vec<(Vec<i32>, String)>,
    imports: BTreeSet<String>,
}

impl Emitter<'_> {
    fn message(&mut self, name: Option<String>, members: &[Member]) -> Result<DescriptorProto, DescribeError> {
        let deprecated = self.entry.description.deprecated;
        let mut message = DescriptorProto {
            name,
            options: deprecated.then(|| MessageOptions { deprecated: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        };
        for member in members {
            match member {
                Member::Field(field) => self.field(field, None, &mut message)?,
                Member::Oneof(oneof) => {
                    let index = index(message.oneof_decl.len());
                    self.docs.push((vec![8, index], oneof.docs.clone()));
                    message.oneof_decl.push(OneofDescriptorProto {
                        name: Some(oneof.name.clone()),
                        ..OneofDescriptorProto::default()
                    });
                    for field in &oneof.fields {
                        self.field(field, Some(index), &mut message)?;
                    }
                }
            }
        }
        synthetic_oneofs(&mut message);
        Ok(message)
    }

    fn field(&mut self, of: &Field, oneof: Option<i32>, to: &mut DescriptorProto) -> Result<(), DescribeError> {
        let (r#type, type_name) = match &of.of {
            FieldType::Scalar(scalar) => (Type::from(*scalar), None),
            FieldType::Type(ty) => self.reference(*ty),
            FieldType::Map(key, value) => {
                let entry = self.map_entry(of, *key, *value)?;
                let name = format!(".{}.{}", self.entry.full_name(), entry.name());
                to.nested_type.push(entry);
                (Type::Message, Some(name))
            }
        };
        let is_map = matches!(of.of, FieldType::Map(..));
        if of.label != Label::Plain && (is_map || oneof.is_some()) {
            return Err(self.invalid(&of.name, "in a oneof, and as a map, a field is neither optional nor repeated"));
        }
        if is_map && oneof.is_some() {
            return Err(self.invalid(&of.name, "a oneof holds no map"));
        }
        let repeated = is_map || of.label == Label::Repeated;
        let unpacked = of.unpacked && repeated && !matches!(r#type, Type::String | Type::Bytes | Type::Message);
        let options = FieldOptions {
            packed: unpacked.then_some(false),
            deprecated: of.deprecated.then_some(true),
            ..FieldOptions::default()
        };
        self.docs.push((vec![2, index(to.field.len())], of.docs.clone()));
        let number = i32::try_from(of.number).map_err(|_| self.invalid(&of.name, "its number is over 536870911"))?;
        to.field.push(FieldDescriptorProto {
            name: Some(of.name.clone()),
            number: Some(number),
            label: Some(if repeated { ProtoLabel::Repeated } else { ProtoLabel::Optional }.into()),
            r#type: Some(r#type.into()),
            type_name,
            oneof_index: oneof,
            json_name: Some(json(&of.name)),
            proto3_optional: (of.label == Label::Optional).then_some(true),
            options: (options != FieldOptions::default()).then_some(options),
            ..FieldDescriptorProto::default()
        });
        Ok(())
    }

    /// The type of a field that holds a message or an enumeration, and its name.
    fn reference(&mut self, of: TypeRef) -> (Type, Option<String>) {
        // Everything that a found type holds was found too.
        let Some(entry) = self.walk.get(&self.entry.package, of) else { return (Type::Message, None) };
        self.imports.insert(entry.file.clone());
        let r#type = if entry.is_enum() { Type::Enum } else { Type::Message };
        (r#type, Some(format!(".{}", entry.full_name())))
    }

    fn map_entry(&mut self, of: &Field, key: Scalar, value: MapValue) -> Result<DescriptorProto, DescribeError> {
        if matches!(key, Scalar::Double | Scalar::Float | Scalar::Bytes) {
            return Err(self.invalid(&of.name, "the keys of a map are no floats and no bytes"));
        }
        let mut entry = DescriptorProto {
            name: Some(map_entry(&of.name)),
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        };
        let (value, type_name) = match value {
            MapValue::Scalar(scalar) => (scalar.into(), None),
            MapValue::Type(of) => self.reference(of),
        };
        for (name, number, r#type, type_name) in [("key", 1, key.into(), None), ("value", 2, value, type_name)] {
            entry.field.push(FieldDescriptorProto {
                name: Some(name.to_owned()),
                number: Some(number),
                label: Some(ProtoLabel::Optional.into()),
                r#type: Some(r#type.into()),
                type_name,
                json_name: Some(name.to_owned()),
                ..FieldDescriptorProto::default()
            });
        }
        Ok(entry)
    }

    fn enumeration(&mut self, name: Option<String>, values: &[Value]) -> EnumDescriptorProto {
        let mut protos = Vec::with_capacity(values.len());
        for value in values {
            self.docs.push((vec![2, index(protos.len())], value.docs.clone()));
            let options = EnumValueOptions { deprecated: Some(true), ..EnumValueOptions::default() };
            protos.push(EnumValueDescriptorProto {
                name: Some(value.name.clone()),
                number: Some(value.number),
                options: value.deprecated.then_some(options),
            });
        }
        let options = EnumOptions { deprecated: Some(true), ..EnumOptions::default() };
        EnumDescriptorProto {
            name,
            value: protos,
            options: self.entry.description.deprecated.then_some(options),
            ..EnumDescriptorProto::default()
        }
    }

    fn invalid(&self, field: &str, problem: &str) -> DescribeError {
        DescribeError::Invalid { name: format!("{}.{field}", self.entry.full_name()), problem: problem.to_owned() }
    }
}

/// An `optional` field is alone in a oneof of its own, after the real ones.
fn synthetic_oneofs(message: &mut DescriptorProto) {
    let mut taken: BTreeSet<String> = message.field.iter().map(|field| field.name().to_owned()).collect();
    taken.extend(message.oneof_decl.iter().map(|oneof| oneof.name().to_owned()));
    for field in message.field.iter_mut().filter(|field| field.proto3_optional()) {
        let mut name = format!("_{}", field.name());
        while !taken.insert(name.clone()) {
            name.insert(0, 'X');
        }
        field.oneof_index = Some(index(message.oneof_decl.len()));
        message.oneof_decl.push(OneofDescriptorProto { name: Some(name), ..OneofDescriptorProto::default() });
    }
}

/// An index as descriptors have it. Nobody has two thousand million fields.
pub(super) fn index(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

impl From<Scalar> for Type {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Double => Self::Double,
            Scalar::Float => Self::Float,
            Scalar::Int32 => Self::Int32,
            Scalar::Int64 => Self::Int64,
            Scalar::Uint32 => Self::Uint32,
            Scalar::Uint64 => Self::Uint64,
            Scalar::Sint32 => Self::Sint32,
            Scalar::Sint64 => Self::Sint64,
            Scalar::Fixed32 => Self::Fixed32,
            Scalar::Fixed64 => Self::Fixed64,
            Scalar::Sfixed32 => Self::Sfixed32,
            Scalar::Sfixed64 => Self::Sfixed64,
            Scalar::Bool => Self::Bool,
            Scalar::String => Self::String,
            Scalar::Bytes => Self::Bytes,
        }
    }
}
