//! The text of `.proto` files.

use std::collections::BTreeSet;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

use self::printer::Printer;
use super::DescribeError;
use super::check::check;
use super::symbols::Symbols;

mod message;
mod options;
mod printer;
mod service;

/// A `.proto` file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtoFile {
    /// How others import it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The text of each file of a set, but for those under `google/protobuf/`, which every compiler of protobuf brings.
///
/// Only proto3 is written, with its comments. Options of users' own are not: prost drops them when it decodes a set; nor are
/// comments on options and reserved numbers.
///
/// # Errors
/// [`DescribeError::NoText`] for what proto3 has no words for, or this printer has none: other editions, extensions,
/// types that are not resolved. [`DescribeError::Invalid`] and [`DescribeError::Clash`] for what is no descriptor.
pub fn proto_files(set: &FileDescriptorSet) -> Result<Vec<ProtoFile>, DescribeError> {
    // Short names are safe only if all names are known.
    let symbols = is_complete(set).then(|| Symbols::of(&set.file)).transpose()?;
    let own = set.file.iter().filter(|file| !file.name().starts_with("google/protobuf/"));
    own.map(|file| Ok(ProtoFile { name: file.name().to_owned(), text: text(file, symbols.as_ref())? })).collect()
}

fn is_complete(set: &FileDescriptorSet) -> bool {
    let names: BTreeSet<&str> = set.file.iter().map(FileDescriptorProto::name).collect();
    set.file.iter().flat_map(|file| &file.dependency).all(|name| names.contains(name.as_str()))
}

fn text(file: &FileDescriptorProto, symbols: Option<&Symbols>) -> Result<String, DescribeError> {
    let refuse = |what: &str| DescribeError::NoText { name: file.name().to_owned(), what: what.to_owned() };
    match file.syntax() {
        "proto3" => {}
        "" | "proto2" => return Err(refuse("it is proto2")),
        other => return Err(refuse(&format!("its syntax is {other}"))),
    }
    if !file.extension.is_empty() {
        return Err(refuse("it has extensions"));
    }
    if !file.weak_dependency.is_empty() {
        return Err(refuse("it has weak imports"));
    }
    check(file)?;
    let mut printer = Printer::new(file, symbols);
    printer.statement(&[12], "syntax = \"proto3\";");
    if !file.package().is_empty() {
        printer.blank();
        printer.statement(&[2], &format!("package {};", file.package()));
    }
    if !file.dependency.is_empty() {
        printer.blank();
    }
    for (index, name) in (0..).zip(&file.dependency) {
        let public = if file.public_dependency.contains(&index) { "public " } else { "" };
        printer.statement(&[3, index], &format!("import {public}{};", options::quoted(name)));
    }
    if let Some(given) = &file.options {
        let given = options::of_file(given).ok_or_else(|| refuse(options::UNKNOWN))?;
        if !given.is_empty() {
            printer.blank();
        }
        printer.options(&given);
    }
    for (index, service) in (0..).zip(&file.service) {
        printer.blank();
        printer.service(&[6, index], service)?;
    }
    for (index, message) in (0..).zip(&file.message_type) {
        printer.blank();
        printer.message(&[4, index], file.package(), message)?;
    }
    for (index, enumeration) in (0..).zip(&file.enum_type) {
        printer.blank();
        printer.enumeration(&[5, index], file.package(), enumeration)?;
    }
    Ok(printer.finish())
}
