//! How a message or an enumeration looks in protobuf: what [`Describe`](super::Describe) says of a type.

use super::Member;

/// A message or an enumeration of protobuf, as its Rust type tells it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Without the package; `Outer.Inner` is nested.
    pub(super) name: String,
    /// The name is what it is, wherever the type stands.
    pub(super) exact: bool,
    pub(super) package: Option<String>,
    /// Where everybody imports it from.
    pub(super) file: Option<&'static str>,
    pub(super) module: &'static str,
    pub(super) docs: String,
    pub(super) deprecated: bool,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Message(Vec<Member>),
    Enum(Vec<Value>),
}

impl Description {
    /// A message of this name, with its members in the order of the text.
    pub fn message(name: impl Into<String>, members: Vec<Member>) -> Self {
        Self::new(name.into(), Body::Message(members))
    }

    /// An enumeration of this name. Its first value is 0, as proto3 wants.
    pub fn enumeration(name: impl Into<String>, values: Vec<Value>) -> Self {
        Self::new(name.into(), Body::Enum(values))
    }

    fn new(name: String, body: Body) -> Self {
        Self { name, exact: false, package: None, file: None, module: "", docs: String::new(), deprecated: false, body }
    }

    /// The name without the package: `SumRequest`, or `Outer.Inner` for what is nested. It is taken as it is; the name that
    /// [`message`](Self::message) was given becomes a nested one by [`module`](Self::module).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self.exact = true;
        self
    }

    /// The package. By default that of the service, or of the message, that uses the type: one type that two packages
    /// use is then described in each.
    #[must_use]
    pub fn package(mut self, package: impl Into<String>) -> Self {
        self.package = Some(package.into());
        self
    }

    /// The Rust module of the type, by `module_path!()`. A type in the module `outer` beside a message `Outer` is nested in
    /// that message, as prost-build lays it out.
    #[must_use]
    pub fn module(mut self, module: &'static str) -> Self {
        self.module = module;
        self
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// The file that every protobuf compiler brings.
    pub(super) fn well_known(mut self, file: &'static str) -> Self {
        self.file = Some(file);
        self.exact = true;
        self.package("google.protobuf")
    }
}

/// A value of an enumeration.
#[derive(Clone, Debug)]
pub struct Value {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) docs: String,
    pub(super) deprecated: bool,
}

impl Value {
    /// A value of this name. The values of all enumerations of a package share one space of names, so that they begin with
    /// the name of theirs: `COLOR_RED`.
    pub fn new(name: impl Into<String>, number: i32) -> Self {
        Self { name: name.into(), number, docs: String::new(), deprecated: false }
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
}
