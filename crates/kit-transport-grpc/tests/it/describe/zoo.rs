//! A message of everything that prost's derive takes, and the text of it.

use std::collections::{BTreeMap, HashMap};

use kit_transport_grpc::Describe;
use kit_transport_grpc::describe::{Method, Service, TypeRef, Types};
use prost::bytes::Bytes;

use super::support::assert_text_means_the_same;

/// Everything at once.
///
/// In two paragraphs.
#[derive(Clone, PartialEq, prost::Message, Describe)]
pub(crate) struct Zoo {
    // Numbers follow each other where none is given.
    #[prost(double)]
    pub(crate) double: f64,
    #[prost(float)]
    pub(crate) float: f32,
    #[prost(int32)]
    pub(crate) int32: i32,
    #[prost(int64)]
    pub(crate) int64: i64,
    #[prost(uint32, tag = 5)]
    pub(crate) uint32: u32,
    #[prost(uint64, tag(6))]
    pub(crate) uint64: u64,
    #[prost(sint32, tag = "7")]
    pub(crate) sint32: i32,
    #[prost(sint64, tag = "8")]
    pub(crate) sint64: i64,
    #[prost(fixed32, tag = "9")]
    pub(crate) fixed32: u32,
    #[prost(fixed64, tag = "10")]
    pub(crate) fixed64: u64,
    #[prost(sfixed32, tag = "11")]
    pub(crate) sfixed32: i32,
    #[prost(sfixed64, tag = "12")]
    pub(crate) sfixed64: i64,
    #[prost(bool, tag = "13")]
    pub(crate) bool: bool,
    /// Some text.
    #[prost(string, tag = "14")]
    pub(crate) string: String,
    #[prost(bytes, tag = "15")]
    pub(crate) bytes: Vec<u8>,
    #[prost(bytes = "vec", tag = "16")]
    pub(crate) bytes_vec: Vec<u8>,
    #[prost(bytes = "bytes", tag = "17")]
    pub(crate) bytes_bytes: Bytes,
    #[prost(int64, optional, tag = "20")]
    pub(crate) maybe: Option<i64>,
    #[prost(enumeration = "Color", optional, tag = "21")]
    pub(crate) maybe_color: Option<i32>,
    #[prost(sint32, repeated, tag = "22")]
    pub(crate) packed: Vec<i32>,
    #[prost(int32, repeated, packed = "false", tag = "23")]
    pub(crate) unpacked: Vec<i32>,
    #[prost(string, repeated, tag = "24")]
    pub(crate) strings: Vec<String>,
    #[prost(enumeration = "Color", repeated, packed = false, tag = "25")]
    pub(crate) colors: Vec<i32>,
    #[prost(enumeration(Color), tag = "26")]
    pub(crate) color: i32,
    #[prost(message, optional, tag = "30")]
    pub(crate) animal: Option<Animal>,
    #[prost(message, repeated, tag = "31")]
    pub(crate) animals: Vec<Animal>,
    #[prost(message, tag = "32")]
    pub(crate) unlabelled: Option<Animal>,
    #[prost(message, required, tag = "33")]
    pub(crate) required: Animal,
    #[prost(message, optional, boxed, tag = "34")]
    pub(crate) next: Option<Box<Zoo>>,
    #[prost(map = "string, int64", tag = "40")]
    pub(crate) ages: HashMap<String, i64>,
    #[prost(btree_map = "uint32, message", tag = "41")]
    pub(crate) animals_by_id: BTreeMap<u32, Animal>,
    #[prost(map = "bool, enumeration(Color)", tag = "42")]
    pub(crate) colors_by_bool: HashMap<bool, i32>,
    #[prost(hash_map(sint64, bytes), tag = "43")]
    pub(crate) r#type: HashMap<i64, Vec<u8>>,
    /// Where it lives.
    #[prost(oneof = "Home", tags = "50, 51, 52, 53")]
    pub(crate) home: Option<Home>,
    #[deprecated]
    #[prost(int32, tag = "60")]
    pub(crate) old: i32,
    #[prost(string, tag = "61")]
    #[describe(name = "self")]
    pub(crate) self_: String,
    #[prost(message, optional, tag = "70")]
    pub(crate) at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "71")]
    pub(crate) took: Option<prost_types::Duration>,
    #[prost(message, repeated, tag = "72")]
    pub(crate) details: Vec<prost_types::Any>,
    #[prost(message, optional, tag = "73")]
    pub(crate) json: Option<prost_types::Struct>,
    #[prost(message, optional, tag = "74")]
    pub(crate) mask: Option<prost_types::FieldMask>,
    #[prost(message, optional, tag = "75")]
    pub(crate) nothing: Option<()>,
    #[prost(message, optional, tag = "76")]
    pub(crate) wrapped: Option<i64>,
    #[prost(message, optional, tag = "77")]
    pub(crate) wrapped_bytes: Option<Vec<u8>>,
    #[prost(message, optional, tag = "78")]
    pub(crate) pair: Option<Pair>,
    #[prost(message, optional, tag = "79")]
    pub(crate) cage: Option<r#Cage>,
}

/// What lives there.
#[derive(Clone, PartialEq, prost::Message, Describe)]
pub(crate) struct Animal {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// The parents,
    /// if they are known.
    #[prost(message, repeated, tag = "2")]
    pub(crate) parents: Vec<Animal>,
    #[prost(enumeration = "animal::Kind", tag = "3")]
    pub(crate) kind: i32,
}

pub(crate) mod animal {
    use kit_transport_grpc::Describe;

    /// In a module named as the message: nested.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration, Describe)]
    #[repr(i32)]
    pub(crate) enum Kind {
        Unknown = 0,
        GreatApe = 1,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration, Describe)]
#[repr(i32)]
pub(crate) enum Color {
    /// Not said.
    Unspecified = 0,
    DarkRed = 5,
    #[deprecated]
    Mauve = -3,
    #[describe(name = "GREEN")]
    Green = 0x10,
}

#[derive(Clone, PartialEq, prost::Oneof, Describe)]
pub(crate) enum Home {
    /// By number.
    #[prost(uint32, tag = "50")]
    CageNumber(u32),
    #[prost(message, tag = "51")]
    With(Animal),
    #[prost(message, tag = "52")]
    Inside(Box<Zoo>),
    #[prost(enumeration = "Color", tag = "53")]
    #[describe(name = "zone")]
    Area(i32),
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
pub(crate) struct Pair(
    #[prost(int32, tag = "1")]
    #[describe(name = "left")]
    pub(crate) i32,
    #[prost(int32, tag = "2")]
    #[describe(name = "right")]
    pub(crate) i32,
);

/// Nothing in it.
#[derive(Clone, PartialEq, prost::Message, Describe)]
#[deprecated]
pub(crate) struct Cage {}

pub(crate) fn types() -> Types {
    let mut types = Types::new();
    let zoo = TypeRef::of::<Zoo>();
    let keeper = Service::new("zoo.v1.Keeper")
        .docs(" Keeps them.")
        .method(Method::new("Feed", zoo, TypeRef::of::<()>()).docs(" Once a day.\n"))
        .method(Method::new("Watch", TypeRef::of::<Animal>(), zoo).streaming(false, true).idempotent(true))
        .method(Method::new("Bring", TypeRef::of::<Animal>(), zoo).streaming(true, false).deprecated())
        .method(Method::new("Talk", zoo, TypeRef::of::<Animal>()).streaming(true, true));
    types.service(keeper);
    types
}

#[test]
fn the_text_of_everything_compiles_to_the_same_descriptors() {
    let files = assert_text_means_the_same(&types());
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(file.name, "zoo.v1.proto");
    assert_eq!(file.text, include_str!("zoo.v1.proto"));
}

#[test]
fn the_files_of_well_known_types_are_those_that_everybody_has() {
    let ours = types().file_descriptor_set().unwrap();
    let theirs = super::support::compile_files(&types().proto_files().unwrap());
    let names: Vec<&str> = ours.file.iter().map(|file| file.name()).collect();
    assert_eq!(names.last(), Some(&"zoo.v1.proto"));
    assert_eq!(names.len(), 8);
    for file in &ours.file {
        let other = theirs.file.iter().find(|other| other.name() == file.name()).unwrap();
        let types = |file: &prost_types::FileDescriptorProto| {
            let mut messages = file.message_type.clone();
            messages.sort_by(|a, b| a.name().cmp(b.name()));
            (messages, file.enum_type.clone(), file.package.clone(), file.dependency.clone())
        };
        assert_eq!(types(file), types(other), "{}", file.name());
    }
}

#[test]
fn the_same_is_said_each_time() {
    assert_eq!(types().file_descriptor_set(), types().file_descriptor_set());
}
