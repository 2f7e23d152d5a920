//! Names as protobuf makes and takes them.

/// Whether protobuf takes this as a name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `a.b.C`.
pub(super) fn is_full_name(name: &str) -> bool {
    name.split('.').all(is_name)
}

/// A name in a package, or in a message.
pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// The name in JSON, as protoc makes it: `user_id` is `userId`.
pub(super) fn json(name: &str) -> String {
    camel(name, false)
}

/// The message that holds one entry of a map, as protoc names it: of `user_names` it is `UserNamesEntry`.
pub(super) fn map_entry(name: &str) -> String {
    camel(name, true) + "Entry"
}

fn camel(name: &str, mut upper: bool) -> String {
    let mut camel = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            camel.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    camel
}

/// The module that prost-build makes for what is nested in a message: of `GetUser` it is `get_user`.
pub(super) fn module(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| chars.get(index));
        let lower_follows = chars.get(index + 1).is_some_and(|after| after.is_lowercase());
        let begins_word = before.is_some_and(|before| {
            before.is_lowercase() || before.is_ascii_digit() || before.is_uppercase() && lower_follows
        });
        if c.is_uppercase() && begins_word {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
