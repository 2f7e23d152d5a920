//! Codecs of the user's own: closures, a pair, and errors inside the reply.

use kit_base::{Endpoint, Error, Kind, Request, Response};
use kit_transport_grpc::{By, DecodeResponse, EncodeOutcome, GrpcServer, Prost};

use crate::support::{Note, by, echo, note, serve};

#[tokio::test]
async fn two_closures_are_a_codec_on_either_side() {
    let parse = |note: Note| {
        note.text.parse::<u64>().map_err(|_| Error::invalid_argument(format!("{:?} is no number", note.text)))
    };
    let double = by(|request: Request<u64>| async move { Ok::<_, Error>(Response::new(2 * request.into_message())) });
    let codec = By::new(parse, |outcome: Result<u64, Error>| outcome.map(|number| note(number.to_string())));
    let server = GrpcServer::new().handle(echo(), double, codec).build().expect("a service");
    let server = crate::support::serve_service(server).await;

    let codec = By::new(parse, |number: u64| Ok(note(number.to_string())));
    let call = server.client().endpoint_by(echo(), codec);
    assert_eq!(*call.call(Request::new(21)).await.expect("an answer").message(), 42);
    let error = server.echo().call(Request::new(note("many"))).await.expect_err("an error");
    assert_eq!((error.kind(), error.message()), (Kind::InvalidArgument, "\"many\" is no number"));
}

/// Replies whose payload is the text of an error.
struct Carried;

impl EncodeOutcome<Note> for Carried {
    type Message = Note;

    fn encode_outcome(&self, outcome: Result<Note, Error>) -> Result<Note, Error> {
        match outcome {
            Err(error) if error.kind() == Kind::NotFound => {
                Ok(Note { text: String::new(), payload: error.message().into() })
            }
            outcome => outcome,
        }
    }
}

impl DecodeResponse<Note> for Carried {
    type Message = Note;

    fn decode_response(&self, message: Note) -> Result<Note, Error> {
        match &*message.payload {
            [] => Ok(message),
            text => Err(Error::not_found(String::from_utf8_lossy(text).into_owned())),
        }
    }
}

#[tokio::test]
async fn of_a_pair_the_second_codec_is_that_of_the_answers_and_may_carry_errors() {
    let endpoint = by(|request: Request<Note>| async move {
        match &*request.message().text {
            "nothing" => Err(Error::not_found("not here")),
            "never" => Err(Error::aborted("never")),
            _ => Ok(Response::new(request.into_message())),
        }
    });
    let server = serve(GrpcServer::new().handle(echo(), endpoint, (Prost, Carried))).await;
    let call = server.client().codec((Prost, Carried)).endpoint::<Note, Note>(echo());
    assert_eq!(call.call(Request::new(note("x"))).await.expect("an answer").message().text, "x");
    for (text, kind, message) in [("nothing", Kind::NotFound, "not here"), ("never", Kind::Aborted, "never")] {
        let error = call.call(Request::new(note(text))).await.expect_err("an error");
        assert_eq!((error.kind(), error.message()), (kind, message));
    }
    // Who does not know of it sees a reply under the status OK.
    let bare = server.echo().call(Request::new(note("nothing"))).await.expect("a reply");
    assert_eq!(bare.message().payload, b"not here");
}
