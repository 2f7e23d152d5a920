//! Options by their names and values.

use prost_types::field_options::{CType, JsType};
use prost_types::file_options::OptimizeMode;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    EnumOptions, EnumValueOptions, FieldOptions, FileOptions, MessageOptions, MethodOptions, ServiceOptions,
};

/// Options that are set, in the order of descriptor.proto.
pub(super) type Options = Vec<(&'static str, String)>;

/// Why there are none.
pub(super) const UNKNOWN: &str = "it has an option that is not resolved";

/// A text as protobuf quotes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\{:03o}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Those of these options that are set, unless there are some that nobody has resolved.
macro_rules! set {
    ($options:ident: $($name:ident = $value:expr),* $(,)?) => {{
        if !$options.uninterpreted_option.is_empty() {
            return None;
        }
        let mut set = Options::new();
        $(set.extend($options.$name.as_ref().map(|value| (stringify!($name), $value(value))));)*
        Some(set)
    }};
}

fn flag(value: &bool) -> String {
    value.to_string()
}

fn text(value: &str) -> String {
    quoted(value)
}

/// An enumeration's value by its name; a number that has none is no value, and refused by every compiler.
fn named<T: TryFrom<i32>>(name: fn(&T) -> &'static str) -> impl Fn(&i32) -> String {
    move |value| T::try_from(*value).map_or_else(|_| value.to_string(), |value| name(&value).to_owned())
}

pub(super) fn of_file(options: &FileOptions) -> Option<Options> {
    set! { options:
        java_package = text,
        java_outer_classname = text,
        java_multiple_files = flag,
        java_string_check_utf8 = flag,
        optimize_for = named(OptimizeMode::as_str_name),
        go_package = text,
        cc_generic_services = flag,
        java_generic_services = flag,
        py_generic_services = flag,
        deprecated = flag,
        cc_enable_arenas = flag,
        objc_class_prefix = text,
        csharp_namespace = text,
        swift_prefix = text,
        php_class_prefix = text,
        php_namespace = text,
        php_metadata_namespace = text,
        ruby_package = text,
    }
}

pub(super) fn of_message(options: &MessageOptions) -> Option<Options> {
    set!(options: no_standard_descriptor_accessor = flag, deprecated = flag)
}

pub(super) fn of_field(options: &FieldOptions) -> Option<Options> {
    set! { options:
        ctype = named(CType::as_str_name),
        packed = flag,
        jstype = named(JsType::as_str_name),
        lazy = flag,
        deprecated = flag,
    }
}

pub(super) fn of_enum(options: &EnumOptions) -> Option<Options> {
    set!(options: allow_alias = flag, deprecated = flag)
}

pub(super) fn of_value(options: &EnumValueOptions) -> Option<Options> {
    set!(options: deprecated = flag)
}

pub(super) fn of_service(options: &ServiceOptions) -> Option<Options> {
    set!(options: deprecated = flag)
}

pub(super) fn of_method(options: &MethodOptions) -> Option<Options> {
    set!(options: deprecated = flag, idempotency_level = named(IdempotencyLevel::as_str_name))
}
