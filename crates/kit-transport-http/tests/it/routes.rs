//! Routes: how they are written, which one a request takes, and what a server cannot be built from.

use http::Method;
use kit_base::{Error, Operation, OperationInfo, Request, Response};
use kit_transport_http::{BuildError, HttpServer, Route};

use crate::support::{By, ask, chain, get, op, post, problem, request};

/// Binds methods that answer with their own name.
fn bound(operations: &[Operation]) -> HttpServer {
    operations.iter().fold(HttpServer::new(), |server, operation| {
        let name = operation.method().to_owned();
        let endpoint = By(move |_: Request<serde_json::Value>| {
            let name = name.clone();
            async { Ok::<_, Error>(Response::new(name)) }
        });
        server.endpoint(operation.clone(), endpoint)
    })
}

fn failure(server: HttpServer) -> String {
    let error: BuildError = server.build().unwrap_err();
    chain(&error)
}

#[test]
fn a_route_is_shown_as_it_is_written() {
    for text in ["POST /sum", "GET,POST /a-b/{id}", "ANY /", "GET /u/{id}/x?limit&after", "GET /f/{*rest}", "PUT /u?"] {
        assert_eq!(text.parse::<Route>().unwrap().to_string(), text);
    }
    assert_eq!("  DELETE   /a  ".parse::<Route>().unwrap().to_string(), "DELETE /a");
    let route: Route = "GET,POST /u/{id}?limit".parse().unwrap();
    assert_eq!(route.verbs(), [Method::GET, Method::POST]);
    assert_eq!((route.verb(), route.path()), (Method::GET, "/u/{id}"));
    assert!(route.takes_from_query(&Method::POST, "limit"));
    assert!(!route.takes_from_query(&Method::GET, "after"));
    assert_eq!("ANY /u".parse::<Route>().unwrap().verb(), Method::POST);
}

#[test]
fn what_is_no_route_says_why() {
    let named = "each parameter is a name in braces, as in `/users/{id}`";
    let old = "no segment may begin with : or *, write parameters in braces: `{id}`, or `{*rest}` at the end";
    for (text, why) in [
        ("", "want a verb and a path, as in `POST /sum`"),
        ("POST", "want a verb and a path, as in `POST /sum`"),
        ("/sum", "want a verb and a path, as in `POST /sum`"),
        ("post /sum", "verbs are written in capitals, with commas between, or `ANY` alone"),
        ("GET,,PUT /sum", "verbs are written in capitals, with commas between, or `ANY` alone"),
        ("GET,ANY /sum", "verbs are written in capitals, with commas between, or `ANY` alone"),
        ("POST sum", "the path must begin with a slash"),
        ("POST ?a", "the path must begin with a slash"),
        ("POST /a b", "the path must not contain spaces"),
        ("POST /größe", "write other characters of the path than ASCII, and #, per-cent-encoded"),
        ("POST /a#b", "write other characters of the path than ASCII, and #, per-cent-encoded"),
        ("POST /a/../b", "no segment of the path may be . or .."),
        ("GET /:id", old),
        ("GET /*all", old),
        ("GET /a/{x}/:b", old),
        ("POST /{}", named),
        ("POST /{id", named),
        ("POST /id}", named),
        ("POST /{a{b}}", named),
        ("POST /{{id}}", named),
        ("POST /{a/b}", named),
        ("POST /{*}", named),
        ("POST /{id}/{id}", "each parameter needs a name of its own"),
        ("POST /{*rest}/x", "a parameter for the rest of the path must be at its end"),
    ] {
        let error = text.parse::<Route>().unwrap_err();
        assert_eq!(error.to_string(), format!("invalid route {text:?}: {why}"));
    }
}

#[tokio::test]
async fn an_operation_has_its_own_route_or_post_and_its_method() {
    static USERS: OperationInfo = OperationInfo::new("users", "find").named(&[("http", "GET /users/{id}")]);
    let routes = bound(&[Operation::from_static(&USERS), op("sum")]).routes().unwrap();
    assert_eq!(ask(&routes, get("/users/7")).await.body(), r#""find""#);
    assert_eq!(ask(&routes, post("/sum", "{}")).await.body(), r#""sum""#);
    assert_eq!(format!("{routes:?}"), r#"{"GET /users/{id}": "users/find", "POST /sum": "test/sum"}"#);
}

#[tokio::test]
async fn one_path_has_a_method_for_each_verb() {
    let operations = [op("read"), op("write"), op("peek")];
    let server = bound(&operations).route("read", "GET /x").route("write", "POST,PUT /x").route("peek", "HEAD /y");
    let routes = server.routes().unwrap();
    for (verb, name) in [(Method::GET, "read"), (Method::POST, "write"), (Method::PUT, "write")] {
        let answer = ask(&routes, request(verb, "/x", "{}")).await;
        assert_eq!(answer.body(), &format!("{name:?}"));
    }
    assert_eq!(ask(&routes, request(Method::HEAD, "/x", "")).await.headers()["content-length"], "6");
    let answer = ask(&routes, request(Method::DELETE, "/x", "")).await;
    problem(&answer, 405);
    assert_eq!(answer.headers()["allow"], "GET, POST, PUT, HEAD");
    let answer = ask(&routes, request(Method::GET, "/y", "")).await;
    assert_eq!(answer.headers()["allow"], "HEAD");
}

#[tokio::test]
async fn a_method_of_its_own_for_head_comes_before_that_of_get() {
    let server = bound(&[op("read"), op("heads")]).route("read", "GET /x").route("heads", "HEAD /x");
    let answer = ask(&server.routes().unwrap(), request(Method::HEAD, "/x", "")).await;
    assert_eq!(answer.headers()["content-length"], r#""heads""#.len().to_string());
}

#[tokio::test]
async fn any_answers_every_verb_even_unheard_ones() {
    let routes = bound(&[op("m")]).route("m", "ANY /m").routes().unwrap();
    for verb in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
        let answer = ask(&routes, request(verb.parse().unwrap(), "/m", "{}")).await;
        assert_eq!(answer.body(), r#""m""#, "{verb}");
    }
    let routes = bound(&[op("m")]).route("m", "BREW /m").routes().unwrap();
    assert_eq!(ask(&routes, request("BREW".parse().unwrap(), "/m", "{}")).await.status(), 200);
}

#[tokio::test]
async fn the_more_special_path_is_taken() {
    let operations = [op("any"), op("me"), op("rest")];
    let server = bound(&operations).route("any", "GET /u/{id}").route("me", "GET /u/me").route("rest", "GET /{*rest}");
    let routes = server.routes().unwrap();
    for (path, name) in [("/u/me", "me"), ("/u/7", "any"), ("/u/7/x", "rest"), ("/v", "rest")] {
        assert_eq!(ask(&routes, get(path)).await.body(), &format!("{name:?}"), "{path}");
    }
}

#[tokio::test]
async fn a_prefix_stands_before_all_that_is_bound_after_it() {
    let named = |server: HttpServer, name: &'static str| {
        server.endpoint(op(name), By(move |_: Request<()>| std::future::ready(Ok::<_, Error>(Response::new(name)))))
    };
    let server = named(named(named(HttpServer::new(), "a").prefix("/v1"), "b").prefix("/v2/"), "c");
    let routes = named(server.prefix(""), "d").route("b", "POST /bee").routes().unwrap();
    for path in ["/a", "/v1/bee", "/v2/c", "/d"] {
        assert_eq!(ask(&routes, post(path, "")).await.status(), 200, "{path}");
    }
    for path in ["/b", "/v1/b", "/v1/a", "/c", "/v2//c"] {
        problem(&ask(&routes, post(path, "")).await, 404);
    }
}

#[tokio::test]
async fn a_route_is_given_by_method_or_by_service_and_method_and_the_last_one_counts() {
    let operations = [Operation::new("a", "get"), Operation::new("b", "get")];
    let server = bound(&operations).route("a/get", "POST /a").route("b/get", "POST /x").route("b/get", "POST /b");
    let routes = server.routes().unwrap();
    assert_eq!(format!("{routes:?}"), r#"{"POST /a": "a/get", "POST /b": "b/get"}"#);
}

#[test]
fn what_cannot_be_built_says_what_is_wrong_and_with_what() {
    let two = || bound(&[op("one"), op("two")]);
    assert_eq!(failure(two().route("two", "GET,POST /one")), "test/one and test/two have the same route GET,POST /one");
    assert_eq!(failure(two().route("two", "ANY /one")), "test/one and test/two have the same route ANY /one");
    assert_eq!(
        failure(two().route("one", "GET /u/{id}").route("two", "PUT /u/{name}")),
        "test/two cannot have the route PUT /u/{name}: \
         Insertion failed due to conflict with previously registered route: /u/{id}"
    );
    assert_eq!(
        failure(two().route("one", "GET /{a}-{b}")),
        "test/one cannot have the route GET /{a}-{b}: Only one parameter is allowed per path segment"
    );
    assert_eq!(
        failure(two().route("three", "GET /x")),
        r#"route "GET /x" is given for the method "three", which is not bound"#
    );
    assert_eq!(
        failure(two().route("one", "/x")),
        r#"test/one has no valid route: invalid route "/x": want a verb and a path, as in `POST /sum`"#
    );
    let prefixed = HttpServer::new().prefix("v1").endpoint(op("one"), By(crate::support::add));
    assert_eq!(
        failure(prefixed),
        r#"test/one has no valid route: invalid route "POST v1/one": the path must begin with a slash"#
    );
    let prefixed = HttpServer::new().prefix("/a b").endpoint(op("one"), By(crate::support::add));
    assert!(failure(prefixed).ends_with("the path must not contain spaces"));
    // A method name that is no path, as `http` names would be.
    let odd = HttpServer::new().endpoint(Operation::new("a", "b c"), By(crate::support::add));
    assert!(failure(odd).contains("a/b c has no valid route"));
}

#[tokio::test]
async fn a_server_without_routes_answers_404() {
    problem(&ask(&HttpServer::default().routes().unwrap(), get("/")).await, 404);
}
