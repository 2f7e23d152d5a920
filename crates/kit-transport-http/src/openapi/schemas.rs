//! The schemas of messages: made in two generators, since what is read may differ from what is written, and named so that
//! no two clash.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// The schemas of what is read, and of what is written: serde's attributes make them differ.
pub(crate) struct Schemas {
    pub(crate) read: SchemaGenerator,
    pub(crate) written: SchemaGenerator,
}

// Where references point until each schema has its name in the document.
const READ: &str = "#/components/read/";
const WRITTEN: &str = "#/components/written/";

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = |path: &'static str| SchemaSettings::draft2020_12().with(|it| it.definitions_path = path.into());
        Self {
            read: settings("/components/read").for_deserialize().into_generator(),
            written: settings("/components/written").for_serialize().into_generator(),
        }
    }

    /// What the schema of something read refers to, or itself.
    pub(super) fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        // As many steps as there are schemas: more is a circle.
        for _ in 0..=self.read.definitions().len() {
            let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|target| name(target, READ)) else {
                break;
            };
            let Some(next) = self.read.definitions().get(&name) else { break };
            schema = next;
        }
        schema
    }

    /// All schemas under their names, and the document with its references to them.
    pub(super) fn name_in(mut self, document: &mut Value) -> Map<String, Value> {
        let (read, written) = (self.read.take_definitions(false), self.written.take_definitions(false));
        let same = same(&read, &written);
        let mut names = Names::default();
        for name in read.keys() {
            names.give(READ, name, name);
        }
        for name in written.keys() {
            match (read.contains_key(name), same.contains(name)) {
                (true, true) => names.share(name),
                (true, false) => names.give(WRITTEN, name, &format!("{name}Output")),
                (false, _) => names.give(WRITTEN, name, name),
            }
        }
        names.put_into(document);
        let mut all = Map::new();
        for (place, schemas) in [(READ, read), (WRITTEN, written)] {
            for (name, schema) in schemas {
                let mut schema = bounded(schema);
                names.put_into(&mut schema);
                if let Some(name) = names.by_place.get(&(place, name)) {
                    all.insert(name.clone(), schema);
                }
            }
        }
        all
    }
}

/// The names of schemas in the document.
#[derive(Default)]
struct Names {
    by_place: BTreeMap<(&'static str, String), String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// Gives it a name as near to what is wished as can be. Source: OpenAPI 3.1, components object.
    fn give(&mut self, place: &'static str, name: &str, wish: &str) {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let wish: String = wish.chars().map(|c| if valid(c) { c } else { '_' }).collect();
        let mut given = wish.clone();
        let mut count = 1;
        while !self.taken.insert(given.clone()) {
            count += 1;
            given = format!("{wish}{count}");
        }
        self.by_place.insert((place, name.to_owned()), given);
    }

    /// Gives what is written the name of what is read, since they are the same.
    fn share(&mut self, name: &str) {
        if let Some(given) = self.by_place.get(&(READ, name.to_owned())).cloned() {
            self.by_place.insert((WRITTEN, name.to_owned()), given);
        }
    }

    fn put_into(&self, value: &mut Value) {
        each_ref(value, &mut |target| {
            for place in [READ, WRITTEN] {
                let given = name(target, place).and_then(|name| self.by_place.get(&(place, name)));
                if let Some(given) = given {
                    *target = format!("#/components/schemas/{given}");
                    return;
                }
            }
        });
    }
}

/// The name that a reference to this place has. Source: RFC 6901, sections 4 and 6.
fn name(target: &str, place: &str) -> Option<String> {
    let name = percent_decode_str(target.strip_prefix(place)?).decode_utf8().ok()?;
    Some(name.replace("~1", "/").replace("~0", "~"))
}

/// The names of schemas that are the same when read and when written, all that they refer to included.
fn same(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
    let as_read = |schema: &Value| {
        let mut schema = schema.clone();
        let mut targets = BTreeSet::new();
        each_ref(&mut schema, &mut |target| {
            if let Some(name) = name(target, WRITTEN) {
                *target = target.replacen(WRITTEN, READ, 1);
                targets.insert(name);
            }
        });
        (schema, targets)
    };
    let mut same: BTreeMap<_, _> = written
        .iter()
        .map(|(name, schema)| (name, as_read(schema)))
        .filter(|(name, (schema, _))| read.get(*name) == Some(schema))
        .map(|(name, (_, targets))| (name.clone(), targets))
        .collect();
    // What refers to one that differs, differs.
    loop {
        let known: BTreeSet<_> = same.keys().cloned().collect();
        same.retain(|_, targets| targets.is_subset(&known));
        if same.len() == known.len() {
            return known;
        }
    }
}

fn each_ref(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(target) if name == "$ref" => change(target),
                    other => each_ref(other, change),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_ref(value, change)),
        _ => {}
    }
}

/// The schema with the bounds that the formats of its integers mean: validators and generators of data know the keywords,
/// and not all the formats.
pub(super) fn bounded(mut schema: Value) -> Value {
    if let Ok(schema) = <&mut Schema>::try_from(&mut schema) {
        RecursiveTransform(bound).transform(schema);
    }
    schema
}

fn bound(schema: &mut Schema) {
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (Value::from(i32::MIN), Value::from(i32::MAX)),
        Some("int64") => (i64::MIN.into(), i64::MAX.into()),
        Some("int") => (isize::MIN.into(), isize::MAX.into()),
        Some("uint32") => (0.into(), u32::MAX.into()),
        Some("uint64") => (0.into(), u64::MAX.into()),
        Some("uint") => (0.into(), usize::MAX.into()),
        _ => return,
    };
    let fields = schema.ensure_object();
    if !["minimum", "exclusiveMinimum"].iter().any(|name| fields.contains_key(*name)) {
        fields.insert("minimum".to_owned(), least);
    }
    if !["maximum", "exclusiveMaximum"].iter().any(|name| fields.contains_key(*name)) {
        fields.insert("maximum".to_owned(), most);
    }
}
