//! The names of schemas and operations: none clash, and all are valid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Change, Reply, described, document, takes};

mod other {
    use super::{Deserialize, JsonSchema};

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody calls it")]
    pub(super) struct Change {
        pub(super) what: String,
    }
}

#[test]
fn two_types_of_one_name_have_a_schema_each() {
    let server = takes::<Change, Reply>(described(), "one", "POST /one");
    let document = document(&takes::<other::Change, Reply>(server, "two", "POST /two"));
    let fields = |path: &str| {
        let schema = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let target = schema["$ref"].as_str().unwrap();
        document.pointer(&target[1..]).unwrap()["properties"].clone()
    };
    assert!(fields("/one").get("name").is_some());
    assert!(fields("/two").get("what").is_some());
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Both {
    #[serde(default)]
    inner: Inner,
    same: Same,
    again: Option<Box<Both>>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename(serialize = "out", deserialize = "in"))]
struct Inner {
    #[serde(rename(serialize = "out", deserialize = "in"))]
    field: i32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Same {
    x: i32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Around {
    both: Both,
}

#[test]
fn what_is_written_otherwise_than_read_has_two_schemas_and_the_rest_one() {
    let document = document(&takes::<Around, Around>(described(), "do", "POST /do"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let names: Vec<_> = schemas.keys().map(String::as_str).collect();
    // `Around` differs, since `Both` in it does; `Same` does not.
    assert_eq!(names, ["Around", "AroundOutput", "Both", "BothOutput", "Problem", "Same", "in", "inOutput"]);
    let target = |schema: &str, field: &str| schemas[schema]["properties"][field]["$ref"].as_str().unwrap().to_owned();
    assert_eq!(target("AroundOutput", "both"), "#/components/schemas/BothOutput");
    assert_eq!(target("Around", "both"), "#/components/schemas/Both");
    assert_eq!(target("BothOutput", "same"), "#/components/schemas/Same");
    let again = &schemas["BothOutput"]["properties"]["again"]["anyOf"][0]["$ref"];
    assert_eq!(again, "#/components/schemas/BothOutput");
    assert!(schemas["inOutput"]["properties"].get("out").is_some());
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "a/b ~ü<c>")]
struct Odd {
    next: Option<Box<Odd>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Mine {
    mine: bool,
}

#[test]
fn names_are_made_valid_and_our_own_leave_the_user_s_alone() {
    let server = takes::<Odd, Mine>(described(), "do", "POST /do");
    let document = document(&server);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Problem", "Problem2", "a_b____c_"]);
    let next = &schemas["a_b____c_"]["properties"]["next"]["anyOf"][0];
    assert_eq!(*next, json!({"$ref": "#/components/schemas/a_b____c_"}));
    let answer = &document["paths"]["/do"]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
    let answer = answer["$ref"].as_str().unwrap();
    assert!(document.pointer(&answer[1..]).unwrap()["properties"].get("mine").is_some());
}

#[test]
fn an_operation_that_is_bound_twice_has_two_ids() {
    let server = takes::<Change, Reply>(described().prefix("/v1"), "do", "POST /do");
    let document = document(&takes::<Change, Reply>(server.prefix("/v2"), "do", "POST /do"));
    assert_eq!(document["paths"]["/v1/do"]["post"]["operationId"], "test.do");
    assert_eq!(document["paths"]["/v2/do"]["post"]["operationId"], "test.do.2");
}

#[test]
fn integers_have_the_bounds_that_their_formats_mean() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody calls it")]
    struct Numbers {
        a: i64,
        b: Vec<u64>,
        #[schemars(range(min = 1, max = 6))]
        c: i32,
    }
    let document = document(&takes::<Numbers, Reply>(described(), "do", "POST /do"));
    let fields = &document["components"]["schemas"]["Numbers"]["properties"];
    let bounds = |schema: &serde_json::Value| (schema["minimum"].clone(), schema["maximum"].clone());
    assert_eq!(bounds(&fields["a"]), (json!(i64::MIN), json!(i64::MAX)));
    assert_eq!(bounds(&fields["b"]["items"]), (json!(0), json!(u64::MAX)));
    assert_eq!(bounds(&fields["c"]), (json!(1), json!(6)));
}
