//! What protobuf asks of names and numbers.

use std::collections::BTreeSet;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use super::DescribeError;
use super::names::{self, is_full_name, is_name, join};

/// Numbers that protobuf keeps for itself.
const KEPT: std::ops::RangeInclusive<i32> = 19_000..=19_999;
const LARGEST: i32 = 536_870_911;

/// Whether each name and number of a file is one.
pub(super) fn check(file: &FileDescriptorProto) -> Result<(), DescribeError> {
    let package = file.package();
    if !package.is_empty() && !is_full_name(package) {
        return invalid(package, "a package is names with points between them");
    }
    file.message_type.iter().try_for_each(|of| message(package, of))?;
    file.enum_type.iter().try_for_each(|of| enumeration(package, of))?;
    for service in &file.service {
        let full = name(package, service.name())?;
        service.method.iter().try_for_each(|method| name(&full, method.name()).map(drop))?;
    }
    Ok(())
}

fn message(scope: &str, of: &DescriptorProto) -> Result<(), DescribeError> {
    let full = name(scope, of.name())?;
    let mut numbers = BTreeSet::new();
    let mut json = BTreeSet::new();
    for field in &of.field {
        let (field_name, number) = (name(&full, field.name())?, field.number());
        if !(1..=LARGEST).contains(&number) || KEPT.contains(&number) {
            let problem = format!("its number {number} is not in 1 to {LARGEST}, or in 19000 to 19999");
            return invalid(&field_name, &problem);
        }
        if !numbers.insert(number) {
            return invalid(&field_name, &format!("another field has its number {number}"));
        }
        let in_json = field.json_name.clone().unwrap_or_else(|| names::json(field.name()));
        if let Some(same) = json.replace(in_json) {
            return invalid(&field_name, &format!("another field has its name in JSON, `{same}`"));
        }
    }
    for (index, oneof) in of.oneof_decl.iter().enumerate() {
        let full = name(&full, oneof.name())?;
        if !of.field.iter().any(|field| field.oneof_index.is_some_and(|of| usize::try_from(of) == Ok(index))) {
            return invalid(&full, "it has no field");
        }
    }
    of.nested_type.iter().try_for_each(|nested| message(&full, nested))?;
    of.enum_type.iter().try_for_each(|nested| enumeration(&full, nested))
}

fn enumeration(scope: &str, of: &EnumDescriptorProto) -> Result<(), DescribeError> {
    let full = name(scope, of.name())?;
    let mut numbers = BTreeSet::new();
    if of.value.first().is_none_or(|first| first.number() != 0) {
        return invalid(&full, "in proto3 the first value of an enumeration is 0");
    }
    let aliases = of.options.as_ref().is_some_and(|options| options.allow_alias());
    for value in &of.value {
        let name = name(scope, value.name())?;
        if matches!(value.name(), "option" | "reserved") {
            return invalid(&name, "in an enumeration this word begins something else");
        }
        if !numbers.insert(value.number()) && !aliases {
            return invalid(&name, &format!("another value has its number {}", value.number()));
        }
    }
    Ok(())
}

/// The full name, if the name is one.
fn name(scope: &str, own: &str) -> Result<String, DescribeError> {
    let full = join(scope, own);
    if is_name(own) { Ok(full) } else { Err(no_name(full)) }
}

fn no_name(name: String) -> DescribeError {
    DescribeError::Invalid { name, problem: "names are ASCII letters, digits and `_`".to_owned() }
}

fn invalid(name: &str, problem: &str) -> Result<(), DescribeError> {
    Err(DescribeError::Invalid { name: name.to_owned(), problem: problem.to_owned() })
}
