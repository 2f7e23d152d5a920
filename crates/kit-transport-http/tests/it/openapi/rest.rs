//! A service as others write them: resources under paths with parameters. A fuzzer goes by its document, through all
//! phases, those with state included.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use kit_base::{Error, Request, Response};
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use kit_transport_http::{DescribedJson, HttpServer, OpenApi};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::described;
use crate::support::{By, op, up};

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    Reader,
    Writer,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct User {
    id: u32,
    #[schemars(length(min = 1))]
    name: String,
    role: Role,
    #[serde(default)]
    tags: Vec<String>,
    manager: Option<Box<User>>,
}

#[derive(Deserialize, JsonSchema)]
struct NewUser {
    #[schemars(length(min = 1))]
    name: String,
    role: Option<Role>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Id {
    id: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    role: Option<Role>,
    limit: Option<u16>,
    /// All of them.
    #[serde(default)]
    tag: Vec<String>,
    #[serde(default)]
    newest: bool,
    ratio: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Users {
    users: Vec<User>,
}

type Table = Arc<Mutex<BTreeMap<u32, User>>>;

fn missing() -> Error {
    Error::not_found("no such user")
}

fn named(user: User) -> Result<User, Error> {
    let mut next = Some(&user);
    while let Some(user) = next {
        if user.name.is_empty() {
            return Err(Error::invalid_argument("the name is empty"));
        }
        next = user.manager.as_deref();
    }
    Ok(user)
}

/// Users: made, listed, looked at, changed, deleted.
pub(super) fn users() -> HttpServer<DescribedJson> {
    let table = Table::default();

    let create = Arc::clone(&table);
    let create = By(move |request: Request<NewUser>| {
        let (table, new) = (Arc::clone(&create), request.into_message());
        async move {
            let mut table = table.lock().unwrap();
            let id = table.keys().next_back().map_or(1, |last| last + 1);
            let role = new.role.unwrap_or(Role::Reader);
            let user = named(User { id, name: new.name, role, tags: new.tags, manager: None })?;
            table.insert(id, user.clone());
            Ok::<_, Error>(Response::new(user).with_status(StatusCode::CREATED))
        }
    });
    let list = Arc::clone(&table);
    let list = By(move |request: Request<Filter>| {
        let (table, filter) = (Arc::clone(&list), request.into_message());
        async move {
            let fits = |user: &&User| {
                filter.role.is_none_or(|role| role == user.role) && filter.tag.iter().all(|tag| user.tags.contains(tag))
            };
            let mut users: Vec<_> = table.lock().unwrap().values().filter(fits).cloned().collect();
            if filter.newest {
                users.reverse();
            }
            users.truncate(filter.limit.unwrap_or(10).into());
            assert!(filter.ratio.is_none_or(f64::is_finite), "no number of JSON");
            Ok::<_, Error>(Response::new(Users { users }))
        }
    });
    let look = Arc::clone(&table);
    let look = By(move |request: Request<Id>| {
        let user = look.lock().unwrap().get(&request.message().id).cloned();
        async move { user.map(Response::new).ok_or_else(missing) }
    });
    let change = Arc::clone(&table);
    let change = By(move |request: Request<User>| {
        let (table, user) = (Arc::clone(&change), request.into_message());
        async move {
            let mut table = table.lock().unwrap();
            let known = table.get_mut(&user.id).ok_or_else(missing)?;
            *known = named(user)?;
            Ok::<_, Error>(Response::new(known.clone()))
        }
    });
    let delete = Arc::clone(&table);
    let delete = By(move |request: Request<Id>| {
        let gone = delete.lock().unwrap().remove(&request.message().id);
        async move { gone.map(|_| Response::new(())).ok_or_else(missing) }
    });
    described()
        .route("create", "POST /users")
        .route("list", "GET /users")
        .route("look", "GET /users/{id}")
        .route("change", "PUT /users/{id}")
        .route("delete", "DELETE /users/{id}")
        .endpoint(op("create"), create)
        .endpoint(op("list"), list)
        .endpoint(op("look"), look)
        .endpoint(op("change"), change)
        .endpoint(op("delete"), delete)
}

const ST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/st");

async fn fuzz(examples: &'static str) {
    if !skip_unless_or(ST, "run `cargo xtask servers schemathesis`") {
        return;
    }
    // The status that the method gives instead of 200.
    let openapi = OpenApi::new("users", "1").amend(|document| {
        let responses = &mut document["paths"]["/users"]["post"]["responses"];
        responses["201"] = responses["200"].take();
        responses.as_object_mut().unwrap().remove("200");
    });
    let served = up(users().openapi(openapi)).await;
    let url = format!("{}/openapi.json", served.url());
    let run = move || {
        let dir = temp_dir().unwrap();
        let mut command = Command::new(ST);
        command.env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/openapi/whole.py"));
        command.current_dir(dir.path()).args(["run", &url, "--checks", "all", "--seed", "1", "--continue-on-failure"]);
        command.args(["--max-examples", examples]);
        let mut child = Child::spawn(command).unwrap();
        let status = child.wait(Duration::from_secs(600)).unwrap();
        assert!(status.success(), "{}{}", child.stdout(), child.stderr());
        assert!(child.stdout().contains("✅ Stateful"), "{}", child.stdout());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[tokio::test]
async fn a_fuzzer_finds_nothing_in_resources() {
    fuzz("15").await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn a_fuzzer_finds_nothing_in_resources_for_long() {
    fuzz("300").await;
}
