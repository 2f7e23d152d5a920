//! Methods that stream: what the document says of their bodies, by each codec.

use kit_base::{Bidi, ClientStream, Context, Endpoint, Error, Request, Response, ServerStream, Shape, Streaming};
use kit_transport_http::{HttpServer, Json, OpenApi, Raw, Sse};
use serde_json::{Value, json};

use super::sound::sound;
use super::{Change, Reply, described};
use crate::support::{drain, items, op, shaped, up};

async fn refuse<S: Shape, Req, Res>(_: Request<Req, S>) -> Result<Response<Res>, Error> {
    Err(Error::unimplemented("nobody calls this"))
}

/// The one operation of the server.
fn only<C>(server: &HttpServer<C>) -> Value {
    let document = server.openapi_document(&OpenApi::new("test", "1")).unwrap();
    sound(&document);
    let path = document["paths"].as_object().unwrap().values().next().unwrap();
    path.as_object().unwrap().values().next().unwrap().clone()
}

/// The media types of a body, each with what its schema refers to.
fn media(body: &Value) -> Vec<String> {
    let content = body["content"].as_object().unwrap();
    let schema = |media: &Value| media["schema"]["$ref"].as_str().map(str::to_owned);
    content.iter().map(|(name, media)| format!("{name} {}", schema(media).unwrap_or_default())).collect()
}

const ITEM: &str = "#/components/schemas/Change";

#[test]
fn an_answer_that_streams_is_lines_or_events_with_the_schema_of_an_item() {
    let plain = shaped::<ServerStream, _>(refuse::<ServerStream, Change, Streaming<Change>>);
    let events = shaped::<ServerStream, _>(refuse::<ServerStream, Change, Streaming<Sse<Change>>>);
    let server = || described().route("watch", "GET /watch/{id}");
    for server in [server().endpoint(op("watch"), plain), server().endpoint(op("watch"), events)] {
        let watch = only(&server);
        let answer = &watch["responses"]["200"];
        assert_eq!(
            media(answer),
            [format!("application/x-ndjson {ITEM}Output"), format!("text/event-stream {ITEM}Output")]
        );
        assert!(answer["description"].as_str().unwrap().contains("one item"), "{answer}");
        // What it takes is a message like any other.
        assert_eq!(super::shape(&watch)[0], "path id*: integer");
    }
}

#[test]
fn a_request_that_streams_is_lines_with_the_schema_of_an_item() {
    let upload = shaped::<ClientStream, _>(refuse::<ClientStream, Streaming<Change>, Reply>);
    let upload = only(&described().route("put", "POST /put/{room}").endpoint(op("put"), upload));
    let body = &upload["requestBody"];
    assert_eq!(media(body), [format!("application/x-ndjson {ITEM}")]);
    // No line is a stream of nothing.
    assert_eq!(body["required"], false);
    assert!(body["description"].as_str().unwrap().contains("one item"), "{body}");
    assert_eq!(super::shape(&upload)[0], "path room*: string");
    assert_eq!(media(&upload["responses"]["200"]), ["application/json #/components/schemas/Reply"]);
    assert_eq!(upload["responses"]["200"]["description"], "success");
}

#[test]
fn without_schemas_the_media_types_are_told_all_the_same() {
    let both = || shaped::<Bidi, _>(refuse::<Bidi, Streaming<bytes::Bytes>, Streaming<bytes::Bytes>>);
    let raw = only(&HttpServer::with_codec(Raw).endpoint(op("talk"), both()));
    assert_eq!(media(&raw["requestBody"]), ["*/* ", "application/octet-stream "]);
    assert_eq!(media(&raw["responses"]["200"]), ["application/octet-stream "]);
    // A piece of bytes is no item: the body is the bytes.
    assert_eq!(raw["responses"]["200"]["description"], "success");

    let both = || shaped::<Bidi, _>(refuse::<Bidi, Streaming<u8>, Streaming<u8>>);
    let lines = only(&HttpServer::new().endpoint(op("talk"), both()));
    assert_eq!(media(&lines["requestBody"]), ["application/x-ndjson "]);
    assert_eq!(media(&lines["responses"]["200"]), ["application/x-ndjson ", "text/event-stream "]);
    let pair = only(&HttpServer::new().handle(op("talk"), both(), Json::new(), Json::new()));
    assert_eq!(pair["responses"]["200"], lines["responses"]["200"]);
    assert_eq!(pair["requestBody"], lines["requestBody"]);
    assert_eq!(lines["responses"]["200"]["content"]["application/x-ndjson"], json!({}));
}

#[tokio::test]
async fn what_is_described_streams_as_what_is_not() {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Tick {
        v: i64,
    }
    let ticks = shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| {
        Ok::<_, Error>(Response::new(items([Ok(Tick { v: 1 }), Ok(Tick { v: 2 })])))
    });
    let back = shaped::<Bidi, _>(async |request: Request<Streaming<Tick>, Bidi>| {
        Ok::<_, Error>(Response::new(request.into_message()))
    });
    let served = up(described().endpoint(op("ticks"), ticks).endpoint(op("back"), back)).await;
    let client = served.client().codec(Json::new().described());
    let request = Request::<_, ServerStream>::from_parts(Context::new(), ());
    let plain = client.endpoint::<(), Streaming<Tick>>(op("ticks")).call(request).await.unwrap();
    assert_eq!(drain(plain.into_message()).await.0, [Tick { v: 1 }, Tick { v: 2 }]);
    let request = Request::<_, ServerStream>::from_parts(Context::new(), ());
    let events = client.endpoint::<(), Streaming<Sse<Tick>>>(op("ticks")).call(request).await.unwrap();
    assert_eq!(drain(events.into_message()).await.0, [Sse::new(Tick { v: 1 }), Sse::new(Tick { v: 2 })]);
    let request = Request::<_, Bidi>::from_parts(Context::new(), items([Ok(Tick { v: 3 })]));
    let back = client.endpoint::<Streaming<Tick>, Streaming<Tick>>(op("back")).call(request).await.unwrap();
    assert_eq!(drain(back.into_message()).await.0, [Tick { v: 3 }]);
}
