//! The file of a package: its types in each other, its services, and their comments.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::method_options::IdempotencyLevel;
use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, MethodDescriptorProto, MethodOptions,
    ServiceDescriptorProto, ServiceOptions, SourceCodeInfo,
};

use super::emit::{Emitted, Proto, emit, index};
use super::names::join;
use super::walk::{Entry, Walk, file_of};
use super::{DescribeError, Service};

/// A file that is being made.
#[derive(Debug, Default)]
struct Parts<'a> {
    package: String,
    types: Nodes<'a>,
    services: Vec<&'a Service>,
    imports: BTreeSet<String>,
}

/// Types in a file or in a message, in the order of being found.
type Nodes<'a> = Vec<Node<'a>>;

#[derive(Debug)]
struct Node<'a> {
    entry: &'a Entry,
    emitted: Emitted,
    nested: Nodes<'a>,
}

/// The files of all types and services, by name.
pub(super) fn assemble(
    walk: &Walk,
    services: &[Service],
) -> Result<BTreeMap<String, FileDescriptorProto>, DescribeError> {
    let mut files: BTreeMap<String, Parts<'_>> = BTreeMap::new();
    // What others are nested in comes first.
    let mut entries: Vec<&Entry> = walk.entries.iter().collect();
    entries.sort_by_key(|entry| entry.name.matches('.').count());
    for entry in entries {
        let emitted = emit(walk, entry)?;
        let parts = files.entry(entry.file.clone()).or_default();
        parts.package.clone_from(&entry.package);
        parts.imports.extend(emitted.imports.iter().cloned());
        insert(&mut parts.types, entry, emitted)?;
    }
    for service in services {
        let package = service.split().0;
        let parts = files.entry(file_of(package)).or_default();
        package.clone_into(&mut parts.package);
        let types = service.methods.iter().flat_map(|method| [method.request, method.reply]);
        parts.imports.extend(types.filter_map(|of| walk.get(package, of)).map(|entry| entry.file.clone()));
        parts.services.push(service);
    }
    Ok(files.into_iter().map(|(name, parts)| (name.clone(), file(name, parts, walk))).collect())
}

fn insert<'a>(mut to: &mut Nodes<'a>, entry: &'a Entry, emitted: Emitted) -> Result<(), DescribeError> {
    let mut parts: Vec<&str> = entry.name.split('.').collect();
    let own = parts.pop();
    for (depth, part) in parts.iter().enumerate() {
        let found = to.iter_mut().find(|node| node.name() == *part && !node.entry.is_enum());
        let Some(found) = found else {
            let outer = parts.get(..=depth).unwrap_or_default().join(".");
            return Err(DescribeError::OuterMissing { name: entry.full_name(), outer: join(&entry.package, &outer) });
        };
        to = &mut found.nested;
    }
    match to.iter().find(|node| Some(node.name()) == own) {
        // One message as two Rust types, or twice in one package.
        Some(same) if same.emitted.proto == emitted.proto => {}
        Some(other) => {
            let of = |entry: &Entry| format!("`{}`", entry.rust);
            return Err(DescribeError::Clash { name: entry.full_name(), first: of(other.entry), second: of(entry) });
        }
        None => to.push(Node { entry, emitted, nested: Vec::new() }),
    }
    Ok(())
}

impl Node<'_> {
    fn name(&self) -> &str {
        match &self.emitted.proto {
            Proto::Message(message) => message.name(),
            Proto::Enum(enumeration) => enumeration.name(),
        }
    }
}

fn file(name: String, parts: Parts<'_>, walk: &Walk) -> FileDescriptorProto {
    let mut docs = Docs::default();
    let (mut messages, mut enums, mut protos) = (Vec::new(), Vec::new(), Vec::new());
    put(parts.types, &mut messages, &mut enums, &[], [4, 5], &mut docs);
    for of in parts.services {
        protos.push(service(of, &parts.package, walk, &[6, index(protos.len())], &mut docs));
    }
    let mut imports = parts.imports;
    imports.remove(&name);
    FileDescriptorProto {
        name: Some(name),
        package: (!parts.package.is_empty()).then_some(parts.package),
        dependency: imports.into_iter().collect(),
        message_type: messages,
        enum_type: enums,
        service: protos,
        source_code_info: (!docs.0.is_empty()).then_some(SourceCodeInfo { location: docs.0 }),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

/// Puts types to where they belong; `fields` are the numbers of the two lists in descriptor.proto.
fn put(
    nodes: Nodes<'_>,
    messages: &mut Vec<DescriptorProto>,
    enums: &mut Vec<EnumDescriptorProto>,
    path: &[i32],
    fields: [i32; 2],
    docs: &mut Docs,
) {
    for node in nodes {
        let place = match &node.emitted.proto {
            Proto::Message(_) => [path, &[fields[0], index(messages.len())]].concat(),
            Proto::Enum(_) => [path, &[fields[1], index(enums.len())]].concat(),
        };
        for (inside, text) in node.emitted.docs {
            docs.add([&*place, &*inside].concat(), &text);
        }
        match node.emitted.proto {
            Proto::Message(mut message) => {
                put(node.nested, &mut message.nested_type, &mut message.enum_type, &place, [3, 4], docs);
                messages.push(message);
            }
            Proto::Enum(enumeration) => enums.push(enumeration),
        }
    }
}

fn service(of: &Service, package: &str, walk: &Walk, path: &[i32], docs: &mut Docs) -> ServiceDescriptorProto {
    docs.add(path.to_vec(), &of.docs);
    let name = |of| walk.get(package, of).map(|entry| format!(".{}", entry.full_name()));
    let mut methods = Vec::with_capacity(of.methods.len());
    for method in &of.methods {
        docs.add([path, &[2, index(methods.len())]].concat(), &method.docs);
        let options = MethodOptions {
            deprecated: method.deprecated.then_some(true),
            idempotency_level: method.idempotent.then_some(IdempotencyLevel::Idempotent.into()),
            ..MethodOptions::default()
        };
        methods.push(MethodDescriptorProto {
            name: Some(method.name.clone()),
            input_type: name(method.request),
            output_type: name(method.reply),
            options: (options != MethodOptions::default()).then_some(options),
            client_streaming: method.client_streaming.then_some(true),
            server_streaming: method.server_streaming.then_some(true),
        });
    }
    let options = ServiceOptions { deprecated: Some(true), ..ServiceOptions::default() };
    ServiceDescriptorProto {
        name: Some(of.split().1.to_owned()),
        method: methods,
        options: of.deprecated.then_some(options),
    }
}

/// Comments by their places.
#[derive(Debug, Default)]
struct Docs(Vec<Location>);

impl Docs {
    fn add(&mut self, path: Vec<i32>, text: &str) {
        if !text.is_empty() {
            // There is no text yet to point into.
            let leading_comments = Some(if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") });
            self.0.push(Location { path, span: vec![0, 0, 0], leading_comments, ..Location::default() });
        }
    }
}
