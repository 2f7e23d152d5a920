//! What makes any document sound, looked at without any tool.

use std::collections::BTreeSet;

use serde_json::Value;

/// No reference dangles, no id is there twice, each parameter of a path is declared once, and names are valid.
pub(super) fn sound(document: &Value) {
    refs(document, document);
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let in_path: BTreeSet<&str> = path.split('{').skip(1).map(|part| part.split_once('}').unwrap().0).collect();
        for (verb, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is there twice");
            let mut declared = BTreeSet::new();
            let mut seen = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (place, name) = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
                assert!(seen.insert((place, name)), "{verb} {path}: {place} {name} is there twice");
                assert!(parameter["schema"].is_object(), "{verb} {path}: {parameter}");
                if place == "path" {
                    assert_eq!(parameter["required"], true, "{verb} {path}: {name}");
                    declared.insert(name);
                }
            }
            assert_eq!(declared, in_path, "{verb} {path}");
            assert!(operation["responses"]["200"]["description"].is_string(), "{verb} {path}");
        }
    }
    for (what, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let valid = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(name.chars().all(valid), "{what}: {name:?}");
        }
    }
}

fn refs(value: &Value, document: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                assert!(target.starts_with("#/components/schemas/") || target.starts_with("#/components/responses/"));
                assert!(document.pointer(&target[1..]).is_some(), "{target} dangles");
            }
            fields.values().for_each(|value| refs(value, document));
        }
        Value::Array(values) => values.iter().for_each(|value| refs(value, document)),
        _ => {}
    }
}
