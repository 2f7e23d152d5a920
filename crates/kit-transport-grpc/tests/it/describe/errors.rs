//! What has no descriptor.

use kit_transport_grpc::Describe;
use kit_transport_grpc::describe::{
    DescribeError, Description, Field, FieldType, Member, Method, Oneof, Scalar, Service, TypeRef, Types, Value,
};

mod one {
    use kit_transport_grpc::Describe;

    #[derive(Clone, PartialEq, prost::Message, Describe)]
    pub(super) struct Same {
        #[prost(int64, tag = "1")]
        pub(super) a: i64,
    }
}

mod other {
    use kit_transport_grpc::Describe;

    /// Only the comment differs.
    #[derive(Clone, PartialEq, prost::Message, Describe)]
    #[describe(name = "Same")]
    pub(super) struct Twin {
        #[prost(int64, tag = "1")]
        pub(super) a: i64,
    }

    #[derive(Clone, PartialEq, prost::Message, Describe)]
    pub(super) struct Same {
        #[prost(sint64, tag = "1")]
        pub(super) a: i64,
    }
}

fn error(types: &Types) -> DescribeError {
    types.file_descriptor_set().unwrap_err()
}

#[test]
fn two_rust_types_of_one_name_are_both_named() {
    let mut types = Types::new();
    types.message::<one::Same>("a").message::<other::Same>("a");
    let error = error(&types);
    let rust = |of: &str| format!("`it::describe::errors::{of}::Same`");
    let wanted = DescribeError::Clash { name: "a.Same".to_owned(), first: rust("one"), second: rust("other") };
    assert_eq!(error, wanted);
    let text =
        "two things are named `a.Same`: `it::describe::errors::one::Same`, and `it::describe::errors::other::Same`";
    assert_eq!(error.to_string(), text);
}

#[test]
fn two_rust_types_that_are_the_same_on_the_wire_are_one() {
    let mut types = Types::new();
    types.message::<one::Same>("a").message::<other::Twin>("a").message::<Box<one::Same>>("a");
    assert_eq!(types.file_descriptor_set().unwrap().file[0].message_type.len(), 1);
    types.message::<other::Same>("b");
    assert!(types.file_descriptor_set().is_ok());
}

#[test]
fn a_service_named_as_a_message_is_found() {
    let mut types = Types::new();
    let same = TypeRef::of::<one::Same>();
    types.service(Service::new("a.Same").method(Method::new("Get", same, same)));
    let DescribeError::Clash { name, .. } = error(&types) else { panic!() };
    assert_eq!(name, "a.Same");
}

#[test]
fn a_method_that_is_there_twice_is_found() {
    let mut types = Types::new();
    let same = TypeRef::of::<one::Same>();
    for _ in 0..2 {
        types.service(Service::new("a.Get").method(Method::new("Get", same, same)));
    }
    assert_eq!(
        error(&types).to_string(),
        "two things are named `a.Get.Get`: a method of `a.Get`, and a method of `a.Get`"
    );
}

/// A message that is described by hand, as the number says.
struct ByHand<const CASE: usize>;

impl<const CASE: usize> kit_transport_grpc::describe::Describe for ByHand<CASE> {
    fn describe() -> Description {
        case(CASE)
    }
}

fn case(case: usize) -> Description {
    let field = |name: &str, number| Field::new(name, number, Scalar::Int64);
    let message = |fields: Vec<Field>| Description::message("M", fields.into_iter().map(Member::from).collect());
    match case {
        0 => message(vec![field("a", 0)]),
        1 => message(vec![field("a", 536_870_912)]),
        2 => message(vec![field("a", u32::MAX)]),
        3 => message(vec![field("a", 19_500)]),
        4 => message(vec![field("a", 1), field("b", 1)]),
        5 => message(vec![field("a b", 1)]),
        6 => message(vec![field("a_b", 1), field("aB", 2)]),
        7 => message(vec![Field::new("a", 1, FieldType::map(Scalar::Double, Scalar::Bool))]),
        8 => message(vec![Field::new("a", 1, FieldType::map(Scalar::Bool, Scalar::Bool)).repeated()]),
        9 => Description::message("M", vec![Oneof::new("o", vec![field("a", 1).optional()]).into()]),
        10 => Description::message("M", vec![Oneof::new("o", vec![]).into()]),
        11 => Description::enumeration("M", vec![Value::new("A", 1)]),
        12 => Description::enumeration("M", vec![]),
        13 => Description::enumeration("M", vec![Value::new("A", 0), Value::new("B", 0)]),
        14 => Description::enumeration("M", vec![Value::new("option", 0)]),
        15 => message(vec![]).name("größe"),
        16 => message(vec![]).package("a..b"),
        17 => message(vec![field("a", 1), field("a", 2)]),
        18 => Description::message(
            "M",
            vec![Oneof::new("o", vec![Field::new("a", 1, FieldType::map(Scalar::Bool, Scalar::Bool))]).into()],
        ),
        _ => message(vec![]).name("A.B"),
    }
}

#[test]
fn what_protobuf_has_no_place_for_is_named() {
    fn of<const CASE: usize>() -> String {
        error(Types::new().message::<ByHand<CASE>>("p")).to_string()
    }
    let wrong = "is not possible in protobuf";
    let range = "is not in 1 to 536870911, or in 19000 to 19999";
    let cases = [
        (of::<0>(), format!("`p.M.a` {wrong}: its number 0 {range}")),
        (of::<1>(), format!("`p.M.a` {wrong}: its number 536870912 {range}")),
        (of::<2>(), format!("`p.M.a` {wrong}: its number is over 536870911")),
        (of::<3>(), format!("`p.M.a` {wrong}: its number 19500 {range}")),
        (of::<4>(), format!("`p.M.b` {wrong}: another field has its number 1")),
        (of::<5>(), format!("`p.M.a b` {wrong}: names are ASCII letters, digits and `_`")),
        (of::<6>(), format!("`p.M.aB` {wrong}: another field has its name in JSON, `aB`")),
        (of::<7>(), format!("`p.M.a` {wrong}: the keys of a map are no floats and no bytes")),
        (of::<8>(), format!("`p.M.a` {wrong}: in a oneof, and as a map, a field is neither optional nor repeated")),
        (of::<9>(), format!("`p.M.a` {wrong}: in a oneof, and as a map, a field is neither optional nor repeated")),
        (of::<10>(), format!("`p.M.o` {wrong}: it has no field")),
        (of::<11>(), format!("`p.M` {wrong}: in proto3 the first value of an enumeration is 0")),
        (of::<12>(), format!("`p.M` {wrong}: in proto3 the first value of an enumeration is 0")),
        (of::<13>(), format!("`p.B` {wrong}: another value has its number 0")),
        (of::<14>(), format!("`p.option` {wrong}: in an enumeration this word begins something else")),
        (of::<15>(), format!("`p.größe` {wrong}: names are ASCII letters, digits and `_`")),
        (of::<16>(), format!("`a..b` {wrong}: a package is names with points between them")),
        (of::<17>(), format!("`p.M.a` {wrong}: another field has its name in JSON, `a`")),
        (of::<18>(), format!("`p.M.a` {wrong}: a oneof holds no map")),
        (of::<19>(), "`p.A.B` is nested in `p.A`, which is not described: add it to the types".to_owned()),
    ];
    for (given, wanted) in cases {
        assert_eq!(given, wanted);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration, Describe)]
#[repr(i32)]
#[describe(name = "First")]
enum Size {
    #[describe(name = "UNKNOWN")]
    Unknown = 0,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration, Describe)]
#[repr(i32)]
enum Second {
    #[describe(name = "UNKNOWN")]
    Unknown = 0,
}

#[test]
fn the_values_of_two_enumerations_share_their_names() {
    let mut types = Types::new();
    types.message::<Size>("a").message::<Second>("a");
    let text = "two things are named `a.UNKNOWN`: a value of `a.First`, and a value of `a.Second`";
    assert_eq!(error(&types).to_string(), text);
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
#[describe(package = "x")]
struct Here {
    #[prost(message, optional, boxed, tag = "1")]
    there: Option<Box<There>>,
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
#[describe(package = "y")]
struct There {
    #[prost(message, optional, boxed, tag = "1")]
    here: Option<Box<Here>>,
}

#[test]
fn packages_that_use_each_other_are_named() {
    let mut types = Types::new();
    types.message::<Here>("x");
    assert_eq!(error(&types), DescribeError::ImportCycle { files: vec!["x.proto".to_owned(), "y.proto".to_owned()] });
}

#[test]
fn a_nested_message_is_found_once_its_outer_one_is_added() {
    struct Outer;
    impl kit_transport_grpc::describe::Describe for Outer {
        fn describe() -> Description {
            Description::message("A", vec![])
        }
    }
    let mut types = Types::new();
    types.message::<ByHand<19>>("p").message::<Outer>("p");
    assert_eq!(types.file_descriptor_set().unwrap().file[0].message_type[0].nested_type.len(), 1);
}
