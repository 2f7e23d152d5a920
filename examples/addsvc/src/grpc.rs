//! addsvc over gRPC, as Go kit's `pb.Add`: the text of a business error stands in the reply, under the status OK.

use kit_base::{Error, Observer};
use kit_transport_grpc::{BuildError, DecodeResponse, Described, EncodeOutcome, GrpcClient, GrpcServer, Prost};

use crate::{AddEndpoints, own_error};

/// Serves what is bound to it, [`AddEndpoints`], over gRPC: `pb.Add/Sum` and `pb.Add/Concat`, and tells tools of them (reflection).
/// The observer is told of panics. What else the program serves there (health, HTTP on the same port) it adds before it builds
/// the service.
pub fn grpc_server(observer: impl Observer + 'static) -> GrpcServer<(Described, Replies)> {
    GrpcServer::with_codec((Described, Replies)).observer(observer).reflection()
}

/// Calls the addsvc at this URL. Layers go over all methods, or over one.
///
/// # Errors
/// It is no URL of a host and port.
pub fn grpc_client(url: &str) -> Result<AddEndpoints, BuildError> {
    Ok(AddEndpoints::connect(&GrpcClient::new(url)?.codec((Prost, Replies))).boxed())
}

/// The codec of the replies. Requests are messages of protobuf as they are: a client speaks `(Prost, Replies)`.
#[derive(Clone, Copy, Debug)]
pub struct Replies;

/// The messages of the replies, as in Go kit's addsvc.proto: what the service answers, or the text of an error of its own.
macro_rules! replies {
    ($($Reply:ident($kind:ident: $Value:ty)),*) => {$(
        #[derive(prost::Message, kit_transport_grpc::Describe)]
        pub struct $Reply {
            #[prost($kind, tag = "1")]
            v: $Value,
            #[prost(string, tag = "2")]
            err: String,
        }

        impl EncodeOutcome<crate::$Reply> for Replies {
            type Message = $Reply;

            fn encode_outcome(&self, outcome: Result<crate::$Reply, Error>) -> Result<$Reply, Error> {
                let (v, err) = match outcome {
                    Ok(reply) => (reply.v, String::new()),
                    Err(own) => (<$Value>::default(), own_error(own.message()).ok_or(own)?.to_string()),
                };
                Ok($Reply { v, err })
            }

            fn describe_response(&self) -> Option<kit_transport_grpc::describe::TypeRef> {
                Some(kit_transport_grpc::describe::TypeRef::of::<$Reply>())
            }
        }

        impl DecodeResponse<crate::$Reply> for Replies {
            type Message = $Reply;

            fn decode_response(&self, $Reply { v, err }: $Reply) -> Result<crate::$Reply, Error> {
                match &*err {
                    "" => Ok(crate::$Reply { v }),
                    text => Err(own_error(text).map_or_else(|| Error::unknown(err), Error::from)),
                }
            }
        }
    )*};
}

replies!(SumReply(int64: i64), ConcatReply(string: String));
