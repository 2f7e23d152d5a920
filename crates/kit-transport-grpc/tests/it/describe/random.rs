//! Random messages: what prost writes is what a reader of the text understands, and the other way round.

use fastrand::Rng;
use prost::Message;
use prost::bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

use super::support::compile_files;
use super::zoo::{Animal, Cage, Home, Pair, Zoo, types};

const COLORS: [i32; 4] = [0, 5, -3, 16];

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(..6)).map(|_| rng.char(..)).collect()
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(..6)).map(|_| rng.u8(..)).collect()
}

fn many<T>(rng: &mut Rng, make: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(..4)).map(|_| make(rng)).collect()
}

fn maybe<T>(rng: &mut Rng, make: impl Fn(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn color(rng: &mut Rng) -> i32 {
    COLORS[rng.usize(..COLORS.len())]
}

fn animal(rng: &mut Rng) -> Animal {
    let parents = if rng.u8(..3) == 0 { many(rng, animal) } else { Vec::new() };
    Animal { name: text(rng), parents, kind: rng.i32(0..2) }
}

fn zoo(rng: &mut Rng, depth: u8) -> Zoo {
    let home = match rng.u8(..6) {
        0 => Some(Home::CageNumber(rng.u32(..))),
        1 => Some(Home::With(animal(rng))),
        2 if depth < 3 => Some(Home::Inside(Box::new(zoo(rng, depth + 1)))),
        3 => Some(Home::Area(color(rng))),
        _ => None,
    };
    Zoo {
        double: rng.f64(),
        float: rng.f32(),
        int32: rng.i32(..),
        int64: rng.i64(..),
        uint32: rng.u32(..),
        uint64: rng.u64(..),
        sint32: rng.i32(..),
        sint64: rng.i64(..),
        fixed32: rng.u32(..),
        fixed64: rng.u64(..),
        sfixed32: rng.i32(..),
        sfixed64: rng.i64(..),
        bool: rng.bool(),
        string: text(rng),
        bytes: bytes(rng),
        bytes_vec: bytes(rng),
        bytes_bytes: Bytes::from(bytes(rng)),
        maybe: maybe(rng, |rng| rng.i64(-1..2)),
        maybe_color: maybe(rng, color),
        packed: many(rng, |rng| rng.i32(..)),
        unpacked: many(rng, |rng| rng.i32(..)),
        strings: many(rng, text),
        colors: many(rng, color),
        color: color(rng),
        animal: maybe(rng, animal),
        animals: many(rng, animal),
        unlabelled: maybe(rng, animal),
        required: animal(rng),
        next: (depth < 3 && rng.bool()).then(|| Box::new(zoo(rng, depth + 1))),
        ages: many(rng, |rng| (text(rng), rng.i64(..))).into_iter().collect(),
        animals_by_id: many(rng, |rng| (rng.u32(..), animal(rng))).into_iter().collect(),
        colors_by_bool: many(rng, |rng| (rng.bool(), color(rng))).into_iter().collect(),
        r#type: many(rng, |rng| (rng.i64(..), bytes(rng))).into_iter().collect(),
        home,
        old: rng.i32(..),
        self_: text(rng),
        at: maybe(rng, |rng| prost_types::Timestamp { seconds: rng.i64(..), nanos: rng.i32(..) }),
        took: maybe(rng, |rng| prost_types::Duration { seconds: rng.i64(..), nanos: rng.i32(..) }),
        details: many(rng, |rng| prost_types::Any { type_url: text(rng), value: bytes(rng) }),
        json: maybe(rng, |rng| {
            let value =
                |rng: &mut Rng| prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(rng.f64())) };
            prost_types::Struct { fields: many(rng, |rng| (text(rng), value(rng))).into_iter().collect() }
        }),
        mask: maybe(rng, |rng| prost_types::FieldMask { paths: many(rng, text) }),
        nothing: maybe(rng, |_| ()),
        wrapped: maybe(rng, |rng| rng.i64(..)),
        wrapped_bytes: maybe(rng, bytes),
        pair: maybe(rng, |rng| Pair(rng.i32(..), rng.i32(..))),
        cage: maybe(rng, |_| Cage {}),
    }
}

#[test]
fn random_messages_pass_through_a_reader_of_the_text_unchanged() {
    let set = compile_files(&types().proto_files().unwrap());
    let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
    let descriptor = pool.get_message_by_name("zoo.v1.Zoo").unwrap();
    for seed in 0..500 {
        let sent = zoo(&mut Rng::with_seed(seed), 0);
        let read = DynamicMessage::decode(descriptor.clone(), &*sent.encode_to_vec()).unwrap();
        assert_all_known(&read);
        // A type of the same encoding would pass unnoticed, but not as a value.
        assert_eq!(read.get_field_by_name("sint64").as_deref(), Some(&Value::I64(sent.sint64)), "seed {seed}");
        assert_eq!(read.get_field_by_name("uint64").as_deref(), Some(&Value::U64(sent.uint64)), "seed {seed}");
        assert_eq!(read.get_field_by_name("bool").as_deref(), Some(&Value::Bool(sent.bool)), "seed {seed}");
        assert_eq!(read.get_field_by_name("color").as_deref(), Some(&Value::EnumNumber(sent.color)), "seed {seed}");
        assert_eq!(
            read.get_field_by_name("string").as_deref(),
            Some(&Value::String(sent.string.clone())),
            "seed {seed}"
        );
        assert_eq!(read.has_field_by_name("maybe"), sent.maybe.is_some(), "seed {seed}");
        assert_eq!(Zoo::decode(&*read.encode_to_vec()).unwrap(), sent, "seed {seed}");
    }
}

fn assert_all_known(message: &DynamicMessage) {
    assert_eq!(message.unknown_fields().count(), 0, "{}: {message:?}", message.descriptor().full_name());
    for (_, value) in message.fields() {
        values(value);
    }
}

fn values(value: &Value) {
    match value {
        Value::Message(message) => assert_all_known(message),
        Value::List(list) => list.iter().for_each(values),
        Value::Map(map) => map.values().for_each(values),
        _ => {}
    }
}
