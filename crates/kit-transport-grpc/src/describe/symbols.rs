//! Every full name of a set of files, each for one thing.

use std::collections::BTreeMap;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use super::DescribeError;
use super::names::join;

/// Full names, and what has them.
#[derive(Debug, Default)]
pub(super) struct Symbols(BTreeMap<String, String>);

impl Symbols {
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a FileDescriptorProto>) -> Result<Self, DescribeError> {
        let mut symbols = Self::default();
        for file in files {
            let package = file.package();
            let dots = package.match_indices('.').map(|(at, _)| at);
            for end in dots.chain((!package.is_empty()).then_some(package.len())) {
                symbols.add(package.get(..end).unwrap_or_default().to_owned(), "a package".to_owned())?;
            }
            for message in &file.message_type {
                symbols.message(package, message)?;
            }
            for enumeration in &file.enum_type {
                symbols.enumeration(package, enumeration)?;
            }
            for service in &file.service {
                let name = join(package, service.name());
                for method in &service.method {
                    symbols.add(join(&name, method.name()), format!("a method of `{name}`"))?;
                }
                symbols.add(name, "a service".to_owned())?;
            }
        }
        Ok(symbols)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) -> Result<(), DescribeError> {
        let name = join(scope, message.name());
        for field in &message.field {
            self.add(join(&name, field.name()), format!("a field of `{name}`"))?;
        }
        for oneof in &message.oneof_decl {
            self.add(join(&name, oneof.name()), format!("a oneof of `{name}`"))?;
        }
        for nested in &message.nested_type {
            self.message(&name, nested)?;
        }
        for nested in &message.enum_type {
            self.enumeration(&name, nested)?;
        }
        self.add(name, "a message".to_owned())
    }

    /// The values stand beside their enumeration, not in it.
    fn enumeration(&mut self, scope: &str, enumeration: &EnumDescriptorProto) -> Result<(), DescribeError> {
        let name = join(scope, enumeration.name());
        for value in &enumeration.value {
            self.add(join(scope, value.name()), format!("a value of `{name}`"))?;
        }
        self.add(name, "an enumeration".to_owned())
    }

    fn add(&mut self, name: String, what: String) -> Result<(), DescribeError> {
        match self.0.get(&name) {
            Some(first) if *first != what || what != "a package" => {
                Err(DescribeError::Clash { name, first: first.clone(), second: what })
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(name, what);
                Ok(())
            }
        }
    }
}
