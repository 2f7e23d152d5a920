//! Why there is no descriptor, or no text.

use std::error::Error;
use std::fmt;

/// Why there is no descriptor of a service, or no `.proto` text of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescribeError {
    /// Two different things have one name. Messages are named by their Rust types.
    Clash {
        /// The full name.
        name: String,
        /// What has it.
        first: String,
        /// What else has it.
        second: String,
    },
    /// A name, a number or a value that protobuf has no place for.
    Invalid {
        /// The full name of what is wrong.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A type is nested in one that nothing mentions. Add that one by [`Types::message`](super::Types::message).
    OuterMissing {
        /// The full name of the nested type.
        name: String,
        /// The full name of the type that it is nested in.
        outer: String,
    },
    /// Files import each other, which protobuf forbids: the packages must be split in another way.
    ImportCycle {
        /// Each imports the next, and the last one the first.
        files: Vec<String>,
    },
    /// The text of proto3 cannot say it.
    NoText {
        /// The full name of what cannot be printed, or its file.
        name: String,
        /// What proto3, or this printer, has no words for.
        what: String,
    },
}

impl fmt::Display for DescribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clash { name, first, second } => write!(f, "two things are named `{name}`: {first}, and {second}"),
            Self::Invalid { name, problem } => write!(f, "`{name}` is not possible in protobuf: {problem}"),
            Self::OuterMissing { name, outer } => {
                write!(f, "`{name}` is nested in `{outer}`, which is not described: add it to the types")
            }
            Self::ImportCycle { files } => write!(f, "files import each other: {}", files.join(" -> ")),
            Self::NoText { name, what } => write!(f, "`{name}` has no text in proto3: {what}"),
        }
    }
}

impl Error for DescribeError {}
