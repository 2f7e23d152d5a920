//! Messages and fields.

use std::collections::BTreeSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::super::DescribeError;
use super::super::names::{join, json};
use super::options;
use super::printer::Printer;
use super::service::{in_brackets, known};

/// One after the largest number of a field.
const END: i32 = 536_870_912;

impl Printer<'_> {
    pub(super) fn message(&mut self, path: &[i32], scope: &str, of: &DescriptorProto) -> Result<(), DescribeError> {
        let full = join(scope, of.name());
        if !of.extension_range.is_empty() || !of.extension.is_empty() {
            return Err(refuse(&full, "it has extensions"));
        }
        if of.options.as_ref().is_some_and(|options| options.message_set_wire_format()) {
            return Err(refuse(&full, "it is a message set"));
        }
        self.open(path, &format!("message {}", of.name()));
        self.options(&known(&full, of.options.as_ref(), options::of_message)?);
        self.fields(path, &full, of)?;
        // The end of such a range is not in it.
        let ranges = of.reserved_range.iter();
        let ranges = ranges.map(|range| (range.start(), range.end().saturating_sub(1), END - 1));
        self.reserved(ranges, &of.reserved_name);
        for (index, nested) in (0..).zip(&of.nested_type).filter(|(_, nested)| !is_map_entry(nested)) {
            self.blank();
            self.message(&[path, &[3, index]].concat(), &full, nested)?;
        }
        for (index, nested) in (0..).zip(&of.enum_type) {
            self.blank();
            self.enumeration(&[path, &[4, index]].concat(), &full, nested)?;
        }
        self.close();
        Ok(())
    }

    /// The fields in their order, those of a oneof together.
    fn fields(&mut self, path: &[i32], full: &str, of: &DescriptorProto) -> Result<(), DescribeError> {
        let mut written = BTreeSet::new();
        for (index, field) in (0..).zip(&of.field) {
            let Some(oneof) = field.oneof_index.filter(|_| !field.proto3_optional()) else {
                self.field(&[path, &[2, index]].concat(), full, of, field)?;
                continue;
            };
            if !written.insert(oneof) {
                continue;
            }
            let decl = usize::try_from(oneof).ok().and_then(|index| of.oneof_decl.get(index));
            let decl = decl.ok_or_else(|| refuse(&join(full, field.name()), "its oneof does not exist"))?;
            if decl.options.as_ref().is_some_and(|options| !options.uninterpreted_option.is_empty()) {
                return Err(refuse(&join(full, decl.name()), options::UNKNOWN));
            }
            self.open(&[path, &[8, oneof]].concat(), &format!("oneof {}", decl.name()));
            for (index, field) in (0..).zip(&of.field).filter(|(_, field)| field.oneof_index == Some(oneof)) {
                self.field(&[path, &[2, index]].concat(), full, of, field)?;
            }
            self.close();
        }
        Ok(())
    }

    fn field(
        &mut self,
        path: &[i32],
        message: &str,
        of: &DescriptorProto,
        field: &FieldDescriptorProto,
    ) -> Result<(), DescribeError> {
        let full = join(message, field.name());
        if field.default_value.is_some() {
            return Err(refuse(&full, "it has a default value"));
        }
        let is_entry = |nested: &&DescriptorProto| {
            is_map_entry(nested) && field.type_name() == format!(".{message}.{}", nested.name())
        };
        let (label, r#type) = match of.nested_type.iter().find(is_entry) {
            Some(entry) => ("", self.map(message, entry)?),
            None => {
                let label = match field.label.unwrap_or(Label::Optional.into()) {
                    label if label == i32::from(Label::Repeated) => "repeated ",
                    label if label == i32::from(Label::Optional) => "",
                    _ => return Err(refuse(&full, "it is required")),
                };
                let label = if field.proto3_optional() { "optional " } else { label };
                (label, self.field_type(message, &full, field)?)
            }
        };
        if field.options.as_ref().is_some_and(|options| options.weak()) {
            return Err(refuse(&full, "it is weak"));
        }
        let mut options = known(&full, field.options.as_ref(), options::of_field)?;
        if field.json_name.as_ref().is_some_and(|name| *name != json(field.name())) {
            options.push(("json_name", options::quoted(field.json_name())));
        }
        let text = format!("{label}{} {} = {}{};", r#type, field.name(), field.number(), in_brackets(&options));
        self.statement(path, &text);
        Ok(())
    }

    fn map(&self, message: &str, entry: &DescriptorProto) -> Result<String, DescribeError> {
        let full = join(message, entry.name());
        let [key, value] = entry.field.as_slice() else { return Err(refuse(&full, "it is no entry of a map")) };
        let of = |field| self.field_type(&full, &full, field);
        Ok(format!("map<{}, {}>", of(key)?, of(value)?))
    }

    fn field_type(&self, scope: &str, full: &str, field: &FieldDescriptorProto) -> Result<String, DescribeError> {
        match field.r#type.and_then(|number| Type::try_from(number).ok()) {
            None => Err(refuse(full, "its type is not resolved")),
            Some(Type::Group) => Err(refuse(full, "it is a group")),
            Some(Type::Message | Type::Enum) => self.refer(scope, full, field.type_name()),
            Some(scalar) => Ok(scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase()),
        }
    }
}

fn is_map_entry(of: &DescriptorProto) -> bool {
    of.options.as_ref().is_some_and(|options| options.map_entry())
}

fn refuse(name: &str, what: &str) -> DescribeError {
    DescribeError::NoText { name: name.to_owned(), what: what.to_owned() }
}
