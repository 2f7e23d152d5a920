//! Compiling texts, and comparing descriptors.

use std::collections::BTreeMap;

use kit_transport_grpc::describe::{ProtoFile, Types, proto_files};
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::{DescriptorProto, FileDescriptorSet};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// Files of a test.
struct Files(BTreeMap<String, String>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// What a compiler that is not ours makes of the files.
pub(crate) fn compile(files: &[(&str, &str)]) -> FileDescriptorSet {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Files(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    for (name, text) in files {
        compiler.open_file(name).unwrap_or_else(|error| panic!("{name}: {error:?}\n{text}"));
    }
    FileDescriptorSet::decode(&*compiler.encode_file_descriptor_set()).unwrap()
}

pub(crate) fn compile_files(files: &[ProtoFile]) -> FileDescriptorSet {
    let files: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    compile(&files)
}

/// The text of what was added compiles to the descriptors of what was added, comments included.
pub(crate) fn assert_text_means_the_same(types: &Types) -> Vec<ProtoFile> {
    let ours = types.file_descriptor_set().unwrap();
    // A pool takes only what is right, and each file after its imports.
    DescriptorPool::from_file_descriptor_set(ours.clone()).unwrap();
    assert_same_text(&ours)
}

pub(crate) fn assert_same_text(ours: &FileDescriptorSet) -> Vec<ProtoFile> {
    let texts = proto_files(ours).unwrap();
    let theirs = compile_files(&texts);
    for text in &texts {
        let (mine, yours) = (normal(ours, &text.name), normal(&theirs, &text.name));
        assert_eq!(mine.1, yours.1, "comments of:\n{}", text.text);
        assert_eq!(mine.0, yours.0, "of:\n{}", text.text);
    }
    texts
}

type Comments = BTreeMap<String, (Vec<String>, String, String)>;

/// A file without the order of what is nested, and its comments by the names of what they are of.
fn normal(set: &FileDescriptorSet, name: &str) -> (prost_types::FileDescriptorProto, Comments) {
    let mut file = set.file.iter().find(|file| file.name() == name).unwrap().clone();
    let pool = DescriptorPool::from_file_descriptor_set(set.clone()).unwrap();
    let mut comments = Comments::new();
    let trim = |text: Option<&String>| {
        let lines = text.map(String::as_str).unwrap_or_default().lines().map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n")
    };
    for location in file.source_code_info.take().into_iter().flat_map(|info| info.location) {
        let of = named(&pool, name, &location.path);
        let detached = location.leading_detached_comments.iter().map(|text| trim(Some(text))).collect::<Vec<_>>();
        let comment = (detached, trim(location.leading_comments.as_ref()), trim(location.trailing_comments.as_ref()));
        if comment != (Vec::new(), String::new(), String::new()) {
            comments.insert(of, comment);
        }
    }
    file.message_type.iter_mut().for_each(sort);
    file.message_type.sort_by(|a, b| a.name().cmp(b.name()));
    file.enum_type.sort_by(|a, b| a.name().cmp(b.name()));
    file.dependency.sort();
    for method in file.service.iter_mut().flat_map(|service| &mut service.method) {
        method.client_streaming = Some(method.client_streaming());
        method.server_streaming = Some(method.server_streaming());
    }
    (file, comments)
}

fn sort(message: &mut DescriptorProto) {
    message.nested_type.iter_mut().for_each(sort);
    message.nested_type.sort_by(|a, b| a.name().cmp(b.name()));
    message.enum_type.sort_by(|a, b| a.name().cmp(b.name()));
}

/// The full name of what stands at a path.
fn named(pool: &DescriptorPool, file: &str, path: &[i32]) -> String {
    let file = pool.get_file_by_name(file).unwrap();
    let full = pool.all_messages().filter(|message| message.parent_file() == file);
    let messages = full.flat_map(|message| {
        let fields = message.fields().map(|field| (field.path().to_vec(), field.full_name().to_owned()));
        let oneofs = message.oneofs().map(|oneof| (oneof.path().to_vec(), oneof.full_name().to_owned()));
        let own = [(message.path().to_vec(), message.full_name().to_owned())];
        own.into_iter().chain(fields.collect::<Vec<_>>()).chain(oneofs.collect::<Vec<_>>()).collect::<Vec<_>>()
    });
    let enums = pool.all_enums().filter(|of| of.parent_file() == file).flat_map(|of| {
        let values = of.values().map(|value| (value.path().to_vec(), value.full_name().to_owned()));
        let own = [(of.path().to_vec(), of.full_name().to_owned())];
        own.into_iter().chain(values.collect::<Vec<_>>()).collect::<Vec<_>>()
    });
    let known: BTreeMap<Vec<i32>, String> = messages.chain(enums).collect();
    known.get(path).cloned().unwrap_or_else(|| format!("{path:?}"))
}
