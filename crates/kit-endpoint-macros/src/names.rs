//! Names of one thing in the three cases of Rust.

/// `get_user` as `GetUser`.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut chars = word.chars();
        camel.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(chars.as_str());
    }
    camel
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

/// `GetUser` or `get_user` as `GET_USER`.
pub(crate) fn upper_snake(name: &str) -> String {
    snake(name).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::{camel, snake, upper_snake};

    #[test]
    fn names_change_their_case() {
        for (given, wanted) in [("sum", "Sum"), ("get_user", "GetUser"), ("getUser", "GetUser"), ("_x2", "X2")] {
            assert_eq!(camel(given), wanted);
        }
        for (given, wanted) in
            [("Add", "add"), ("GetUser", "get_user"), ("HTTPServer", "http_server"), ("V2Api", "v2_api")]
        {
            assert_eq!(snake(given), wanted);
        }
        assert_eq!(upper_snake("TwoZeroes"), "TWO_ZEROES");
        assert_eq!(upper_snake("get_user"), "GET_USER");
    }
}
