//! Names of protobuf from names of Rust.

use syn::Ident;
use syn::ext::IdentExt;

use crate::errors::Errors;

/// The name as written, without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// `GetUser` as `get_user`, `HTTPServer` as `http_server`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| chars[index]);
        let after = chars.get(index + 1);
        let begins_word = before.is_some_and(|before| {
            before.is_lowercase()
                || before.is_ascii_digit()
                || before.is_uppercase() && after.is_some_and(|after| after.is_lowercase())
        });
        if c.is_uppercase() && begins_word {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// `Color` and `DarkRed` as `COLOR_DARK_RED`: protobuf's style for values.
pub(crate) fn value(enumeration: &str, variant: &str) -> String {
    format!("{}_{}", snake(enumeration), snake(variant)).to_uppercase()
}

/// Whether protobuf takes this as a name; `dotted` names may have parts.
pub(crate) fn check(name: &str, at: proc_macro2::Span, dotted: bool, errors: &mut Errors) {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let right = if dotted { name.split('.').all(part) } else { part(name) };
    if !right {
        errors.at_span(
            at,
            format!("`{name}` is no name in protobuf (ASCII letters, digits, `_`): give one by `#[describe(name = \"...\")]`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{snake, value};

    #[test]
    fn names_change_their_case() {
        for (given, wanted) in
            [("Add", "add"), ("GetUser", "get_user"), ("HTTPServer", "http_server"), ("V2Api", "v2_api")]
        {
            assert_eq!(snake(given), wanted);
        }
        assert_eq!(value("Color", "DarkRed"), "COLOR_DARK_RED");
    }
}
