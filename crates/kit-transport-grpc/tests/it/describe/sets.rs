//! The text of sets that somebody else made.

use kit_transport_grpc::describe::{DescribeError, proto_files};
use prost_types::FileDescriptorSet;

use super::support::{assert_same_text, compile};

const RICH: &str = include_str!("rich.proto");
const IMPORTED: &str = "syntax = \"proto3\";\n\npackage other.v1;\n\nmessage Thing {\n  string name = 1;\n}\n";

fn rich() -> FileDescriptorSet {
    compile(&[("other/v1/thing.proto", IMPORTED), ("rich.proto", RICH)])
}

#[test]
fn the_text_of_a_set_means_the_same_with_its_comments() {
    let files = assert_same_text(&rich());
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].text, IMPORTED);
    for comment in [
        "Detached from all.",
        "behind it",
        "two lines.

",
        "Detached in a block.

",
        "Nested, and",
    ] {
        assert!(files[1].text.contains(comment), "{}", files[1].text);
    }
}

#[test]
fn the_text_of_the_text_is_the_text() {
    let once = proto_files(&rich()).unwrap();
    let again = proto_files(&super::support::compile_files(&once)).unwrap();
    assert_eq!(once, again);
}

#[test]
fn a_set_without_its_imports_names_every_type_in_full() {
    let mut set = rich();
    set.file.retain(|file| file.name() == "rich.proto");
    let files = proto_files(&set).unwrap();
    assert!(files[0].text.contains("  .other.v1.Thing thing = "), "{}", files[0].text);
    let theirs = compile(&[("other/v1/thing.proto", IMPORTED), ("rich.proto", &files[0].text)]);
    assert_eq!(proto_files(&theirs).unwrap(), proto_files(&rich()).unwrap());
}

fn refused(text: &str) -> String {
    refused_set(&compile(&[("a.proto", text)]))
}

fn refused_set(set: &FileDescriptorSet) -> String {
    let error = proto_files(set).unwrap_err();
    assert!(matches!(error, DescribeError::NoText { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn what_proto3_has_no_words_for_is_refused() {
    let no = "has no text in proto3";
    assert_eq!(
        refused("syntax = \"proto2\"; message A { optional int32 a = 1; }"),
        format!("`a.proto` {no}: it is proto2")
    );
    assert_eq!(refused("message A { required int32 a = 1; }"), format!("`a.proto` {no}: it is proto2"));
    let extends = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; \
                   extend google.protobuf.FieldOptions { string a = 50000; }";
    assert_eq!(refused(extends), format!("`a.proto` {no}: it has extensions"));
}

#[test]
fn a_descriptor_that_claims_to_be_proto3_is_not_believed() {
    let changed = |change: &dyn Fn(&mut prost_types::FileDescriptorProto)| {
        let mut set = compile(&[("a.proto", "syntax = \"proto3\"; message A { A a = 1; }")]);
        change(&mut set.file[0]);
        refused_set(&set)
    };
    let field = |change: &dyn Fn(&mut prost_types::FieldDescriptorProto)| {
        changed(&|file| change(&mut file.message_type[0].field[0]))
    };
    let no = "has no text in proto3";
    assert_eq!(
        field(&|field| field.default_value = Some("1".to_owned())),
        format!("`A.a` {no}: it has a default value")
    );
    assert_eq!(field(&|field| field.label = Some(2)), format!("`A.a` {no}: it is required"));
    assert_eq!(field(&|field| field.r#type = Some(10)), format!("`A.a` {no}: it is a group"));
    assert_eq!(field(&|field| field.r#type = None), format!("`A.a` {no}: its type is not resolved"));
    assert_eq!(
        field(&|field| field.type_name = Some("A".to_owned())),
        format!("`A.a` {no}: its type `A` is not resolved")
    );
    assert_eq!(field(&|field| field.oneof_index = Some(7)), format!("`A.a` {no}: its oneof does not exist"));
    assert_eq!(
        changed(&|file| file.syntax = Some("editions".to_owned())),
        format!("`a.proto` {no}: its syntax is editions")
    );
    let option = |file: &mut prost_types::FileDescriptorProto| {
        file.options.get_or_insert_default().uninterpreted_option.push(prost_types::UninterpretedOption::default());
    };
    assert_eq!(changed(&option), format!("`a.proto` {no}: it has an option that is not resolved"));
    let range = |file: &mut prost_types::FileDescriptorProto| {
        file.message_type[0].extension_range.push(prost_types::descriptor_proto::ExtensionRange::default());
    };
    assert_eq!(changed(&range), format!("`A` {no}: it has extensions"));
}

#[test]
fn nothing_is_written_into_the_text_through_a_name() {
    let mut set = compile(&[("a.proto", "syntax = \"proto3\"; message A { A a = 1; }")]);
    set.file[0].message_type[0].field[0].name = Some("a = 1; } message B {".to_owned());
    assert!(matches!(proto_files(&set), Err(DescribeError::Invalid { .. })));
}
