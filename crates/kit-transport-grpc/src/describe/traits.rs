//! The traits of described types, and a reference to one.

use std::any::{TypeId, type_name};
use std::fmt;

use super::{Description, Field};

/// A prost message or enumeration that can say how it looks in protobuf. Derive it beside prost's own derive:
/// `#[derive(Clone, PartialEq, prost::Message, kit_transport_grpc::Describe)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how it looks in protobuf",
    label = "needs `kit_transport_grpc::Describe`",
    note = "derive it beside prost's own: `#[derive(Clone, PartialEq, prost::Message, kit_transport_grpc::Describe)]`"
)]
pub trait Describe: 'static {
    /// How the type looks in protobuf. It is asked when descriptors are made, never on a call.
    fn describe() -> Description;
}

impl<T: Describe> Describe for Box<T> {
    fn describe() -> Description {
        T::describe()
    }
}

/// The Rust enum of a oneof.
#[diagnostic::on_unimplemented(
    message = "the oneof `{Self}` does not say how it looks in protobuf",
    note = "derive it beside prost's own: `#[derive(Clone, PartialEq, prost::Oneof, kit_transport_grpc::Describe)]`"
)]
pub trait DescribeOneof {
    /// One field for each variant.
    fn fields() -> Vec<Field>;
}

/// A described type, without its description yet: so types may hold each other, or themselves.
#[derive(Clone, Copy)]
pub struct TypeRef {
    pub(super) id: TypeId,
    pub(super) rust: &'static str,
    pub(super) describe: fn() -> Description,
}

impl TypeRef {
    /// The reference to a type.
    #[must_use]
    pub fn of<T: Describe>() -> Self {
        Self { id: TypeId::of::<T>(), rust: type_name::<T>(), describe: T::describe }
    }
}

impl fmt::Debug for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypeRef").field(&self.rust).finish()
    }
}
