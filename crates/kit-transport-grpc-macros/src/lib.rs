//! The derive `Describe` of kit-transport-grpc. Use it through `kit_transport_grpc`, with its feature `describe`.
//!
//! It expands to code that names everything by `::kit_transport_grpc`, and that can be written by hand instead; the
//! documentation of `kit_transport_grpc::describe` shows how. Every mistake is an error at the place of the mistake,
//! whose first line says what to do.

use proc_macro::TokenStream;

mod describe;
mod errors;
mod expand;
mod model;
mod names;
mod options;
mod prost;

/// Says how a prost message, enumeration or oneof looks in protobuf. It reads what `prost` itself reads, and takes doc
/// comments as comments.
///
/// On a message or enumeration: `#[describe(package = "pb")]` (by default the package of the service, or of the message,
/// that uses it) and `#[describe(name = "SumRequest")]` (by default the name that `prost::Name` gives, or else the Rust
/// name; `"Outer.Inner"` is nested). On a field or a variant: `#[describe(name = "type")]`.
///
/// A value of an enumeration has, in this order, the name of its attribute, of the enumeration's own `as_str_name`, or
/// `COLOR_RED` for `Color::Red`, because in protobuf the values of all enumerations of a package share one space.
///
/// A `required` field is described as a plain one: that is what proto3 has, and what prost takes from the wire. Fields
/// with a `default`, and groups, are refused: proto3 has neither.
#[proc_macro_derive(Describe, attributes(prost, describe))]
pub fn describe(item: TokenStream) -> TokenStream {
    describe::describe(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
