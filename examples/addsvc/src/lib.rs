//! Go kit's addsvc: sum and concat. The trait, its messages and errors, and the logic; one module for each transport.

#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]

mod grpc;
mod http;

use kit_endpoint::{Context, Error, service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use grpc::{Replies, grpc_client, grpc_server};
pub use http::{Failure, decode_error, encode_error, http_client, http_server};

/// Adds numbers, and joins texts.
#[service(name = "addsvc", grpc = "pb.Add")]
pub trait Add {
    /// The sum of two numbers, not both zero, within 32 bits.
    #[idempotent]
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError>;

    /// The two texts as one, of at most ten bytes.
    #[idempotent]
    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError>;
}

/// Two numbers, not both zero, whose sum is within 32 bits.
#[derive(Clone, Copy, prost::Message, kit_transport_grpc::Describe, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("not" = { "properties": { "a": { "const": 0 }, "b": { "const": 0 } } }))]
pub struct SumRequest {
    /// The first, of 32 bits.
    #[schemars(range(min = i32::MIN, max = i32::MAX))]
    #[prost(int64, tag = "1")]
    pub a: i64,
    /// The second, of 32 bits.
    #[schemars(range(min = i32::MIN, max = i32::MAX))]
    #[prost(int64, tag = "2")]
    pub b: i64,
}

/// A sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SumReply {
    /// It.
    pub v: i64,
}

/// Two texts, of ten bytes at most between them.
#[derive(Clone, prost::Message, kit_transport_grpc::Describe, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConcatRequest {
    /// The first.
    #[schemars(length(max = MAX_SIZE))]
    #[prost(string, tag = "1")]
    pub a: String,
    /// The second.
    #[schemars(length(max = MAX_SIZE))]
    #[prost(string, tag = "2")]
    pub b: String,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConcatReply {
    /// It.
    pub v: String,
}

/// Why the service does not add.
#[derive(Debug, kit_endpoint::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Zero and zero; a rule of Go kit's, to have an error to show.
    #[kit(kind = InvalidArgument, message = "can't sum two zeroes")]
    TwoZeroes,
    /// An operand or the sum needs more than 32 bits.
    #[kit(kind = OutOfRange, message = "integer overflow")]
    IntegerOverflow,
    /// More than ten bytes.
    #[kit(kind = OutOfRange, message = "result exceeds maximum size")]
    MaxSizeExceeded,
    /// Whatever can go wrong on the way.
    #[kit(other)]
    Other(Error),
}

/// The error of the service's own with this text.
fn own_error(text: &str) -> Option<AddError> {
    use AddError::{IntegerOverflow, MaxSizeExceeded, TwoZeroes};
    [TwoZeroes, IntegerOverflow, MaxSizeExceeded].into_iter().find(|own| own.to_string() == text)
}

/// The logic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Adder;

/// The longest text that [`Add::concat`] makes, in bytes.
const MAX_SIZE: usize = 10;

impl Add for Adder {
    async fn sum(&self, _: &Context, SumRequest { a, b }: SumRequest) -> Result<SumReply, AddError> {
        match a.saturating_add(b) {
            _ if a == 0 && b == 0 => Err(AddError::TwoZeroes),
            v if [a, b, v].into_iter().all(|n| i32::try_from(n).is_ok()) => Ok(SumReply { v }),
            _ => Err(AddError::IntegerOverflow),
        }
    }

    async fn concat(&self, _: &Context, ConcatRequest { a, b }: ConcatRequest) -> Result<ConcatReply, AddError> {
        if a.len() + b.len() > MAX_SIZE {
            return Err(AddError::MaxSizeExceeded);
        }
        Ok(ConcatReply { v: a + &b })
    }
}
