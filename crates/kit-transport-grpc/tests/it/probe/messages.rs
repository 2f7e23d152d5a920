//! The messages of probe.proto.

use std::collections::BTreeMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoRequest {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(crate) delay_ms: u32,
    #[prost(message, optional, tag = "4")]
    pub(crate) fail: Option<Fail>,
    #[prost(uint32, tag = "5")]
    pub(crate) answer_bytes: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoReply {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[prost(int64, tag = "4")]
    pub(crate) timeout_ms: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CountRequest {
    #[prost(uint32, tag = "1")]
    pub(crate) n: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) pause_ms: u32,
    #[prost(message, optional, tag = "3")]
    pub(crate) fail: Option<Fail>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct CountReply {
    #[prost(uint32, tag = "1")]
    pub(crate) i: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct SumRequest {
    #[prost(int64, tag = "1")]
    pub(crate) value: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct SumReply {
    #[prost(int64, tag = "1")]
    pub(crate) total: i64,
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Fail {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(uint32, tag = "3")]
    pub(crate) retry_after_ms: u32,
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
    #[prost(bool, tag = "5")]
    pub(crate) in_trailers: bool,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(crate) field_violations: BTreeMap<String, String>,
}
