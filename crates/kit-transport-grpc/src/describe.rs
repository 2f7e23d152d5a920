//! What protobuf says of hand-written messages: descriptors for reflection, and the text of `.proto` files.
//!
//! prost keeps no descriptor when the program runs, and a service that was written in Rust first has no `.proto` file.
//! The derive [`Describe`](macro@crate::Describe) keeps what is needed: it reads the attributes that prost reads, and doc
//! comments. [`Types`] makes a `FileDescriptorSet` of services and all that they use, or the text of their `.proto`
//! files; [`proto_files`] writes the text of any `FileDescriptorSet`, as of one that prost-build wrote.
//!
//! # Names
//! A message is named as its Rust type, in the package of the service, or of the message, that uses it. A message that
//! implements `prost::Name` has that name instead, and `#[describe(name = "...", package = "...")]` goes before both. The
//! value `Red` of the enumeration `Color` is `COLOR_RED`, unless the enumeration has prost-build's method `as_str_name`.
//!
//! # Messages of prost-build
//! `.type_attribute(".", "#[derive(::kit_transport_grpc::Describe)]")` derives it for all of them. Say
//! `.enable_type_names()` too: then messages know their package. What is nested in a message stays so, because it is in
//! the module of that message.
//!
//! # By hand
//! What the derive writes is this:
//!
//! ```
//! use kit_transport_grpc::describe::{Describe, Description, Field, Scalar};
//!
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct Who {
//!     #[prost(string, optional, tag = 1)]
//!     name: Option<String>,
//! }
//!
//! impl Describe for Who {
//!     fn describe() -> Description {
//!         let name = Field::new("name", 1, Scalar::String).optional().docs(" What to call them.");
//!         Description::message("Who", vec![name.into()])
//!     }
//! }
//! # let mut types = kit_transport_grpc::describe::Types::new();
//! # types.message::<Who>("pb");
//! # assert!(types.proto_files().unwrap()[0].text.contains("  // What to call them.\n  optional string name = 1;\n"));
//! ```

#[doc(hidden)]
pub mod __private;
mod assemble;
mod check;
mod description;
mod emit;
mod error;
mod field;
mod known;
mod names;
mod order;
mod service;
mod symbols;
mod text;
mod traits;
mod types;
mod walk;

pub use description::{Description, Value};
pub use error::DescribeError;
pub use field::{Field, FieldType, MapValue, Member, Oneof, Scalar};
pub use service::{Method, Service};
pub use text::{ProtoFile, proto_files};
pub use traits::{Describe, DescribeOneof, TypeRef};
pub use types::Types;
