//! A route: verbs and a path with parameters, as in `GET,POST /users/{id}?limit`.

use std::fmt;
use std::str::FromStr;

use http::Method;
use kit_base::Operation;

use crate::InvalidRoute;

/// Verbs and a path: `POST /sum`, `GET,POST /uppercase`, `ANY /count`, `GET /users/{id}?limit&after`.
///
/// Parts of the path in braces, and the names after `?`, are fields of the message; so is the whole query for the verbs
/// that have no body, `GET`, `HEAD` and `DELETE`, unless names are given. A server answers all verbs, a client uses the
/// first one. A server that answers `GET` answers `HEAD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// None means any.
    verbs: Vec<Method>,
    path: String,
    query: Option<Vec<String>>,
}

impl Route {
    /// The route of an operation: its own name for `http`, or `POST /` and its method.
    ///
    /// # Errors
    /// Its name for `http` is no route.
    pub fn of(operation: &Operation) -> Result<Self, InvalidRoute> {
        match operation.name_for("http") {
            Some(name) => name.parse(),
            None => format!("POST /{}", operation.method()).parse(),
        }
    }

    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }

    /// The verbs; none means any.
    #[must_use]
    pub fn verbs(&self) -> &[Method] {
        &self.verbs
    }

    /// The verb that a client uses.
    #[must_use]
    pub fn verb(&self) -> Method {
        self.verbs.first().cloned().unwrap_or(Method::POST)
    }

    /// The path, with its parameters in braces.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the query parameter of this name is a field of the message.
    #[must_use]
    pub fn takes_from_query(&self, verb: &Method, name: &str) -> bool {
        match &self.query {
            Some(names) => names.iter().any(|known| known == name),
            None => matches!(*verb, Method::GET | Method::HEAD | Method::DELETE),
        }
    }

    pub(crate) fn answers(&self, verb: &Method) -> bool {
        self.verbs.is_empty()
            || self.verbs.contains(verb)
            || (*verb == Method::HEAD && self.verbs.contains(&Method::GET))
    }

    /// The pieces of the path: text, and the names of parameters.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.path.split('{').enumerate().flat_map(|(index, part)| match (index, part.split_once('}')) {
            (0, _) | (_, None) => [Some(Piece::Text(part)), None],
            (_, Some((name, text))) => [Some(Piece::Param(name)), Some(Piece::Text(text))],
        })
        .flatten()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Param(&'a str),
}

impl FromStr for Route {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let invalid = |why| InvalidRoute { route: text.to_owned(), why };
        let (verbs, target) = text.trim().split_once(' ').ok_or(invalid("want a verb and a path, as in `POST /sum`"))?;
        let verbs = match verbs {
            "ANY" => Vec::new(),
            verbs => verbs
                .split(',')
                .map(|verb| match Method::from_str(verb) {
                    Ok(method) if verb.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method),
                    _ => Err(invalid("verbs are written in capitals, with commas between, or `ANY`")),
                })
                .collect::<Result<_, _>>()?,
        };
        let (path, query) = match target.trim().split_once('?') {
            Some((path, names)) => (path, Some(names.split('&').map(str::to_owned).collect())),
            None => (target.trim(), None),
        };
        if !path.starts_with('/') {
            return Err(invalid("the path must begin with a slash"));
        }
        if path.contains(char::is_whitespace) {
            return Err(invalid("the path must not contain spaces"));
        }
        let route = Self { verbs, path: path.to_owned(), query };
        let braces = |brace| path.matches(brace).count();
        let params = route.pieces().filter(|piece| matches!(piece, Piece::Param(name) if !name.is_empty())).count();
        if braces('{') != params || braces('}') != params {
            return Err(invalid("each parameter is a name in braces, as in `/users/{id}`"));
        }
        Ok(route)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.verbs {
            [] => f.write_str("ANY")?,
            verbs => f.write_str(&verbs.iter().map(Method::as_str).collect::<Vec<_>>().join(","))?,
        }
        write!(f, " {}", self.path)
    }
}
