//! How messages get their names and packages.

use kit_transport_grpc::Describe;
use kit_transport_grpc::describe::{Method, Service, TypeRef, Types};

use super::support::assert_text_means_the_same;

#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Shared {
    #[prost(message, optional, tag = "1")]
    money: Option<Money>,
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
#[describe(package = "common.v1", name = "Amount")]
struct Money {
    #[prost(message, optional, tag = "1")]
    unit: Option<Unit>,
    #[prost(message, optional, tag = "2")]
    named: Option<Named>,
}

/// Without a package: beside what uses it.
#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Unit {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Named {
    #[prost(enumeration = "Style", tag = "1")]
    style: i32,
}

impl prost::Name for Named {
    const NAME: &'static str = "Other";
    const PACKAGE: &'static str = "names";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration, Describe)]
#[repr(i32)]
enum Style {
    None = 0,
    Bold = 1,
}

impl Style {
    /// As prost-build has it.
    fn as_str_name(&self) -> &'static str {
        match self {
            Self::None => "NO_STYLE",
            Self::Bold => "BOLD",
        }
    }
}

fn text(types: &Types, name: &str) -> String {
    let files = assert_text_means_the_same(types);
    files.into_iter().find(|file| file.name == name).unwrap().text
}

#[test]
fn a_message_is_in_the_package_of_the_service_that_uses_it() {
    let mut types = Types::new();
    let shared = TypeRef::of::<Shared>();
    types.service(Service::new("a.One").method(Method::new("Get", shared, shared)));
    types.service(Service::new("b.v2.Two").method(Method::new("Get", shared, shared)));
    types.service(Service::new("Bare").method(Method::new("Get", shared, shared)));
    for (file, package) in [("a.proto", "package a;"), ("b.v2.proto", "package b.v2;")] {
        let text = text(&types, file);
        assert!(text.contains(package), "{text}");
        assert!(text.contains("rpc Get(Shared) returns (Shared);"), "{text}");
        assert!(text.contains("import \"common.v1.proto\";"), "{text}");
        assert!(text.contains("  common.v1.Amount money = 1;"), "{text}");
        assert!(!text.contains("message Unit"), "{text}");
    }
    let bare = text(&types, "no-package.proto");
    assert!(!bare.contains("package") && bare.contains("message Shared {"), "{bare}");
}

#[test]
fn a_message_without_a_package_is_beside_the_message_that_uses_it() {
    let mut types = Types::new();
    types.message::<Shared>("a");
    assert!(text(&types, "common.v1.proto").contains("message Unit {"));
    assert!(!text(&types, "a.proto").contains("message Unit {"));
}

#[test]
fn the_name_of_prost_goes_before_the_name_in_rust() {
    let mut types = Types::new();
    types.message::<Shared>("a");
    let names = text(&types, "names.proto");
    assert!(names.contains("message Other {\n  Style style = 1;\n}"), "{names}");
    assert!(names.contains("enum Style {\n  NO_STYLE = 0;\n  BOLD = 1;\n}"), "{names}");
}

mod deep {
    use kit_transport_grpc::Describe;

    /// In no module of a message.
    #[derive(Clone, PartialEq, prost::Message, Describe)]
    pub(super) struct HTTPServer {
        #[prost(message, optional, tag = "1")]
        pub(super) inner: Option<http_server::Inner>,
    }

    pub(super) mod http_server {
        use kit_transport_grpc::Describe;

        #[derive(Clone, PartialEq, prost::Message, Describe)]
        pub(crate) struct Inner {
            #[prost(message, optional, tag = "1")]
            pub(crate) r#type: Option<inner::Type>,
            #[prost(message, optional, tag = "2")]
            pub(crate) outer: Option<Box<super::HTTPServer>>,
        }

        pub(crate) mod inner {
            use kit_transport_grpc::Describe;

            #[derive(Clone, PartialEq, prost::Message, Describe)]
            pub(crate) struct Type {
                #[prost(message, optional, tag = "1")]
                pub(crate) r#in: Option<r#type::Innermost>,
            }

            pub(crate) mod r#type {
                use kit_transport_grpc::Describe;

                #[derive(Clone, PartialEq, prost::Message, Describe)]
                pub(crate) struct Innermost {}
            }
        }
    }
}

#[test]
fn what_is_in_the_module_of_a_message_is_nested_in_it() {
    let mut types = Types::new();
    types.message::<deep::http_server::Inner>("a");
    let wanted = "syntax = \"proto3\";

package a;

// In no module of a message.
message HTTPServer {
  Inner inner = 1;

  message Inner {
    Type type = 1;
    HTTPServer outer = 2;

    message Type {
      Innermost in = 1;

      message Innermost {}
    }
  }
}
";
    assert_eq!(text(&types, "a.proto"), wanted);
}

#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Hidden {
    #[prost(message, optional, tag = "1")]
    #[describe(name = "Unit")]
    field_of_the_same_name: Option<Unit>,
    #[prost(message, optional, tag = "2")]
    string: Option<Lower>,
}

/// Named as a keyword.
#[derive(Clone, PartialEq, prost::Message, Describe)]
#[describe(name = "string")]
struct Lower {}

#[test]
fn a_name_that_means_something_else_where_it_stands_is_written_in_full() {
    let mut types = Types::new();
    types.message::<Hidden>("a");
    let text = text(&types, "a.proto");
    assert!(text.contains("  a.Unit Unit = 1;"), "{text}");
    assert!(text.contains("  a.string string = 2;"), "{text}");
}

#[test]
fn a_second_service_of_one_name_adds_its_methods() {
    let mut types = Types::new();
    let unit = TypeRef::of::<Unit>();
    types.service(Service::new("a.One").method(Method::new("Get", unit, unit)));
    types.service(Service::new("a.One").method(Method::new("Put", unit, unit)));
    let text = text(&types, "a.proto");
    assert!(
        text.contains("service One {\n  rpc Get(Unit) returns (Unit);\n  rpc Put(Unit) returns (Unit);\n}"),
        "{text}"
    );
}
