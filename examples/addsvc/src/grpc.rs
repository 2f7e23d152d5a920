//! addsvc over gRPC, as Go kit's `pb.Add`: the text of a business error stands in the reply, under the status OK.

use kit_base::{Error, Observer};
use kit_transport_grpc::{BuildError, DecodeResponse, EncodeOutcome, GrpcClient, GrpcServer, Prost};
use prost::Message;

use crate::{Add, AddEndpoints, AddError, ConcatReply, SumReply};

/// Serves addsvc over gRPC: `pb.Add/Sum` and `pb.Add/Concat`. The observer is told of panics. What else the program serves
/// there (health, HTTP on the same port) it adds before it builds the service.
pub fn grpc_server(service: impl Add, observer: impl Observer + 'static) -> GrpcServer<impl Send + Sync> {
    AddEndpoints::new(service).bind(GrpcServer::with_codec((Prost, Replies)).observer(observer))
}

/// Calls the addsvc at this URL.
///
/// # Errors
/// It is no URL of a host and port.
pub fn grpc_client(url: &str) -> Result<impl Add + use<>, BuildError> {
    Ok(AddEndpoints::connect(&GrpcClient::new(url)?.codec((Prost, Replies))))
}

/// The codec of the replies. Requests are messages of protobuf as they are.
struct Replies;

/// What the service answers under 1, and the text of an error of its own under 2.
macro_rules! reply {
    ($Message:ident($kind:ident: $Value:ty) of $Reply:ident) => {
        #[derive(Message)]
        struct $Message(#[prost($kind, tag = "1")] $Value, #[prost(string, tag = "2")] String);

        impl EncodeOutcome<$Reply> for Replies {
            type Message = $Message;

            fn encode_outcome(&self, outcome: Result<$Reply, Error>) -> Result<$Message, Error> {
                match outcome {
                    Ok($Reply { v }) => Ok($Message(v, String::new())),
                    Err(own) if AddError::from_text(own.message()).is_some() => {
                        Ok($Message(Default::default(), own.message().into()))
                    }
                    Err(error) => Err(error),
                }
            }
        }

        impl DecodeResponse<$Reply> for Replies {
            type Message = $Message;

            fn decode_response(&self, $Message(v, error): $Message) -> Result<$Reply, Error> {
                match &*error {
                    "" => Ok($Reply { v }),
                    text => Err(AddError::from_text(text).map_or_else(|| Error::unknown(error), Error::from)),
                }
            }
        }
    };
}

reply!(SumMessage(int64: i64) of SumReply);
reply!(ConcatMessage(string: String) of ConcatReply);
