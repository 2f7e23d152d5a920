//! All types that services use, each once for a package, and their names.

use std::any::TypeId;
use std::collections::HashMap;

use super::description::Body;
use super::field::{FieldType, MapValue, Member};
use super::known::companions;
use super::names::{join, module};
use super::{Description, Field, TypeRef};

/// A type in a package.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rust: &'static str,
    pub(super) description: Description,
    pub(super) package: String,
    pub(super) file: String,
    /// Without the package: `Outer.Inner`.
    pub(super) name: String,
}

impl Entry {
    pub(super) fn full_name(&self) -> String {
        join(&self.package, &self.name)
    }

    pub(super) fn is_enum(&self) -> bool {
        matches!(self.description.body, Body::Enum(_))
    }
}

/// The types found so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) entries: Vec<Entry>,
    /// What a reference to a type means in a package.
    found: HashMap<(TypeId, String), usize>,
}

impl Walk {
    /// Finds a type that is used in a package.
    pub(super) fn add(&mut self, package: &str, of: TypeRef) {
        if self.found.contains_key(&(of.id, package.to_owned())) {
            return;
        }
        let description = (of.describe)();
        let own = description.package.clone().unwrap_or_else(|| package.to_owned());
        let index = *self.found.entry((of.id, own.clone())).or_insert(self.entries.len());
        self.found.insert((of.id, package.to_owned()), index);
        if index == self.entries.len() {
            let file = description.file.map_or_else(|| file_of(&own), str::to_owned);
            let name = description.name.clone();
            self.entries.push(Entry { rust: of.rust, description, package: own, file, name });
        }
    }

    /// Finds what the types found so far hold, and what that holds, until there is nothing new.
    pub(super) fn finish(&mut self) {
        let mut next = 0;
        while let Some(entry) = self.entries.get(next) {
            let package = entry.package.clone();
            let mut used = entry.description.file.map_or_else(Vec::new, companions);
            if let Body::Message(members) = &entry.description.body {
                used.extend(members.iter().flat_map(fields).filter_map(|field| used_by(&field.of)));
            }
            for of in used {
                self.add(&package, of);
            }
            next += 1;
        }
        self.nest();
    }

    pub(super) fn get(&self, package: &str, of: TypeRef) -> Option<&Entry> {
        self.entries.get(*self.found.get(&(of.id, package.to_owned()))?)
    }

    /// A type in the module `outer` beside the message `Outer` is nested in it.
    fn nest(&mut self) {
        let mut outers: HashMap<(String, String), usize> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.is_enum()) {
            let own = entry.name.rsplit('.').next().unwrap_or_default();
            let inside = format!("{}::{}", entry.description.module, module(own));
            outers.entry((entry.package.clone(), inside)).or_insert(index);
        }
        let outer = |entry: &Entry| {
            let module = entry.description.module.replace("::r#", "::");
            (!entry.description.exact).then(|| outers.get(&(entry.package.clone(), module)).copied()).flatten()
        };
        let nested: Vec<Option<usize>> = self.entries.iter().map(outer).collect();
        let names: Vec<String> = (0..self.entries.len()).map(|index| self.name(index, &nested)).collect();
        for (entry, name) in self.entries.iter_mut().zip(names) {
            entry.name = name;
        }
    }

    /// The name with the names of what it is nested in. A module is longer than the one around it, so that this ends.
    fn name(&self, index: usize, nested: &[Option<usize>]) -> String {
        let Some(entry) = self.entries.get(index) else { return String::new() };
        match nested.get(index).copied().flatten() {
            Some(outer) => join(&self.name(outer, nested), &entry.name),
            None => entry.name.clone(),
        }
    }
}

/// The file of a package. The one without a name has a file that no package can have.
pub(super) fn file_of(package: &str) -> String {
    if package.is_empty() { "no-package.proto".to_owned() } else { format!("{package}.proto") }
}

fn fields(member: &Member) -> &[Field] {
    match member {
        Member::Field(field) => std::slice::from_ref(field),
        Member::Oneof(oneof) => &oneof.fields,
    }
}

fn used_by(of: &FieldType) -> Option<TypeRef> {
    match of {
        FieldType::Type(of) | FieldType::Map(_, MapValue::Type(of)) => Some(*of),
        FieldType::Scalar(_) | FieldType::Map(..) => None,
    }
}
