//! What is bound, told: as the text of `.proto` files, and by reflection to tools that no one here wrote.

use kit_base::{Context, Endpoint, Error, Operation, Readiness, Request, Response, ServerStream, Streaming};
use kit_transport_grpc::{By as Pair, Describe, Described, GrpcServer};
use serde_json::json;

use crate::generated::Told;
use crate::peers::{buf, buf_is_here, call, python_is_here};
use crate::support::{Note, Running, by, echo, echoing, serve, serve_service, shaped};

/// What is asked.
#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Question {
    /// In any language.
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, repeated, tag = "3")]
    pages: Vec<u32>,
}

/// What is answered.
#[derive(Clone, PartialEq, prost::Message, Describe)]
struct Answer {
    #[prost(message, optional, tag = "2")]
    to: Option<Question>,
}

fn answering() -> GrpcServer<Described> {
    let ask = by(async |request: Request<Question>| {
        Ok::<_, Error>(Response::new(Answer { to: Some(request.into_message()) }))
    });
    let all = shaped::<ServerStream, _>(async |_: Request<Question, ServerStream>| {
        let none: Streaming<Answer> = Streaming::new(Nothing);
        Ok::<_, Error>(Response::new(none))
    });
    GrpcServer::described()
        .endpoint(Operation::new("test.v1.Answers", "Ask").with_idempotent(true), ask)
        .endpoint(Operation::new("test.v1.Answers", "All"), all)
}

struct Nothing;

impl futures_core::Stream for Nothing {
    type Item = Result<Answer, Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}

#[test]
fn a_bound_service_has_a_proto_text() {
    let files = answering().proto_files().expect("a text");
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "test.v1.proto");
    let text = r#"syntax = "proto3";

package test.v1;

service Answers {
  rpc Ask(Question) returns (Answer) {
    option idempotency_level = IDEMPOTENT;
  }
  rpc All(Question) returns (stream Answer);
}
"#;
    assert!(files[0].text.contains(&text[text.find("service").unwrap()..]), "{}", files[0].text);
    assert!(files[0].text.contains("  // In any language.\n  string text = 1;\n"), "{}", files[0].text);
}

#[test]
fn a_pair_of_codecs_describes_what_its_two_describe() {
    let ask = by(async |request: Request<Question>| Ok::<_, Error>(Response::new(request.into_message())));
    let operation = Operation::new("test.v1.Answers", "Ask");
    let server = GrpcServer::new().handle(operation, ask, (Described, Described));
    let files = server.proto_files().expect("a text");
    assert!(files[0].text.contains("rpc Ask(Question) returns (Question)"), "{}", files[0].text);
}

#[test]
fn what_is_not_described_is_named() {
    let error = echoing(async |request| Ok(Response::new(request.into_message()))).reflection().build();
    let error = error.expect_err("no descriptors").to_string();
    assert!(error.contains("test.Notes/Echo") && error.contains("derive `Describe`"), "{error}");
    let pair = Pair::new(|note: Note| Ok(note), |outcome: Result<Note, Error>| outcome);
    let echoing = by(async |request: Request<Note>| Ok::<_, Error>(Response::new(request.into_message())));
    let error = answering().handle(echo(), echoing, pair).proto_files().expect_err("one is not").to_string();
    assert!(error.contains("test.Notes/Echo"), "{error}");
    let error = GrpcServer::new().add_service(Told::default().service()).reflection().build();
    let error = error.expect_err("no descriptors").to_string();
    assert!(error.contains("grpc.health.v1.Health"), "{error}");
    let error = GrpcServer::new().descriptors(&b"\xff"[..]).build().expect_err("garbage").to_string();
    assert!(error.contains("FileDescriptorSet"), "{error}");
}

#[tokio::test]
async fn descriptors_of_an_added_service_are_given() {
    let set = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let server = GrpcServer::new().add_service(Told::default().service()).descriptors(set);
    let server = serve(server).await;
    if python_is_here() {
        let told = call(server.addr, &["reflect", "list", "symbol=grpc.health.v1.Health"]).await;
        let services = told["replies"][0]["services"].as_array().expect("services").clone();
        assert!(services.contains(&json!("grpc.health.v1.Health")), "{told}");
        assert!(told["replies"][1]["files"][0].is_object(), "{told}");
    }
}

#[tokio::test]
async fn tools_learn_what_is_served() {
    let service = answering().health(Readiness::new()).reflection().build().expect("a service");
    let server = serve_service(service).await;
    if python_is_here() {
        for version in ["v1", "v1alpha"] {
            let questions = ["reflect", "--version", version, "list", "symbol=test.v1.Answers", "file=no.proto"];
            let told = call(server.addr, &questions).await;
            let replies = &told["replies"];
            for name in ["test.v1.Answers", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
                let services = replies[0]["services"].as_array().expect("services");
                assert!(services.contains(&json!(name)) || version != "v1", "{name}: {told}");
            }
            assert!(replies[1]["files"][0].to_string().contains("Question"), "{told}");
            // tonic-reflection ends the stream, where gRPC's own servers answer with an error within it.
            assert_eq!(told["code"], "NOT_FOUND", "{told}");
        }
    }
    if buf_is_here() {
        let url = format!("http://{}/test.v1.Answers/Ask", server.addr);
        let asked = r#"{"text": "grüße", "pages": [1, 2]}"#;
        let args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", asked, &url];
        let ran = buf(&args).await;
        assert!(ran.success, "{}", ran.stderr);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(told, json!({"to": {"text": "grüße", "pages": [1, 2]}}));
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct AskForServices {
    #[prost(string, tag = "7")]
    list_services: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ToldServices {
    #[prost(message, optional, tag = "6")]
    list: Option<Services>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

/// The services that a server tells of.
async fn told(server: &Running) -> Vec<String> {
    let operation = Operation::new("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo");
    let told = server.client().endpoint::<Streaming<AskForServices>, Streaming<ToldServices>>(operation);
    let asked = tokio_stream::once(Ok(AskForServices { list_services: "*".to_owned() }));
    let mut answer =
        told.call(Request::from_parts(Context::new(), Streaming::new(asked))).await.expect("an answer").into_message();
    let services = answer.message().await.expect("no error").expect("a message").list.expect("a list");
    let mut names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_service_that_is_not_served_is_not_told_though_its_descriptors_are_known() {
    let set = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let reflection = "grpc.reflection.v1.ServerReflection";
    let server = serve_service(answering().descriptors(set).build().expect("a service")).await;
    assert_eq!(told(&server).await, [reflection, "test.v1.Answers"]);
    let server = serve(GrpcServer::new().add_service(Told::default().service()).descriptors(set)).await;
    assert_eq!(told(&server).await, ["grpc.health.v1.Health", reflection]);
    let server = serve(GrpcServer::new().health(Readiness::new()).reflection()).await;
    assert_eq!(told(&server).await, ["grpc.health.v1.Health", reflection]);
}
