//! A route: verbs and a path with parameters, as in `GET,POST /users/{id}?limit`.

use std::fmt;
use std::str::FromStr;

use http::Method;
use kit_base::Operation;

use crate::InvalidRoute;

/// Verbs and a path: `POST /sum`, `GET,POST /uppercase`, `ANY /count`, `GET /users/{id}?limit&after`.
///
/// Parts of the path in braces, and the names after `?`, are fields of the message; so is the whole query for the verbs
/// that have no body, `GET`, `HEAD` and `DELETE`, unless names are given. `{*rest}` at the end takes the rest of the path,
/// slashes and all. Where a path is also that of a more special route, `/users/me` beside `/users/{id}`, that one is taken.
///
/// A server answers all verbs, a client uses the first one, and `POST` for `ANY`. A server that answers `GET` answers
/// `HEAD`.
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

    /// The route that is given for the operation by its method, or by its service and method; the last one counts.
    pub(crate) fn chosen(renamed: &[(String, String)], operation: &Operation) -> Result<Self, InvalidRoute> {
        match renamed.iter().rev().find(|(name, _)| names(name, operation)) {
            Some((_, route)) => route.parse(),
            None => Self::of(operation),
        }
    }

    /// The same with this before its path.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Result<Self, InvalidRoute> {
        self.path.insert_str(0, prefix.trim_end_matches('/'));
        self.check()
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
            None => is_bodiless(verb),
        }
    }

    /// The names of query parameters that it gives.
    #[cfg(feature = "openapi")]
    pub(crate) fn query_names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().flatten().map(String::as_str)
    }

    /// Whether all of the message is in the body.
    pub(crate) fn is_all_in_body(&self, verb: &Method) -> bool {
        self.query.is_none() && !self.path.contains('{') && !is_bodiless(verb)
    }

    /// Whether it names this verb, or all of them.
    pub(crate) fn names_verb(&self, verb: &Method) -> bool {
        self.verbs.is_empty() || self.verbs.contains(verb)
    }

    /// The pieces of the path.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let pieces = self.path.split('{').enumerate().flat_map(|(index, part)| match (index, part.split_once('}')) {
            (0, _) | (_, None) => [Some(Piece::Text(part)), None],
            (_, Some((name, text))) => {
                let param = name.strip_prefix('*').map_or(Piece::Param(name), Piece::Rest);
                [Some(param), Some(Piece::Text(text)).filter(|_| !text.is_empty())]
            }
        });
        pieces.flatten()
    }

    fn check(self) -> Result<Self, InvalidRoute> {
        match wrong_with(&self) {
            Some(why) => Err(InvalidRoute { route: self.to_string(), why }),
            None => Ok(self),
        }
    }
}

/// Whether this is the name of an operation: its method, or its service and method.
pub(crate) fn names(name: &str, operation: &Operation) -> bool {
    name == operation.method() || name == operation.to_string()
}

/// Whether requests with this verb have no body, as a rule.
pub(crate) fn is_bodiless(verb: &Method) -> bool {
    matches!(*verb, Method::GET | Method::HEAD | Method::DELETE)
}

/// A piece of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// A parameter within a segment.
    Param(&'a str),
    /// The parameter that takes the rest of the path.
    Rest(&'a str),
}

fn wrong_with(route: &Route) -> Option<&'static str> {
    let path = &route.path;
    if !path.starts_with('/') {
        return Some("the path must begin with a slash");
    }
    if path.contains(char::is_whitespace) {
        return Some("the path must not contain spaces");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
        return Some("write other characters of the path than ASCII, and #, per-cent-encoded");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Some("no segment of the path may be . or ..");
    }
    // Older routers took them for parameters, and axum refuses them, by a panic.
    if path.split('/').any(|segment| segment.starts_with([':', '*'])) {
        return Some("no segment may begin with : or *, write parameters in braces: `{id}`, or `{*rest}` at the end");
    }
    let mut params = Vec::new();
    let mut ended = false;
    for piece in route.pieces() {
        if std::mem::replace(&mut ended, matches!(piece, Piece::Rest(_))) {
            return Some("a parameter for the rest of the path must be at its end");
        }
        if let Piece::Param(name) | Piece::Rest(name) = piece {
            if params.contains(&name) {
                return Some("each parameter needs a name of its own");
            }
            params.push(name);
        }
    }
    let braces = |brace| path.matches(brace).count();
    let named = params.iter().all(|name| !name.is_empty() && !name.contains(['/', '*', ':']));
    if !named || braces('{') != params.len() || braces('}') != params.len() {
        return Some("each parameter is a name in braces, as in `/users/{id}`");
    }
    None
}

impl FromStr for Route {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let invalid = |why| InvalidRoute { route: text.to_owned(), why };
        let (verbs, target) =
            text.trim().split_once(' ').ok_or(invalid("want a verb and a path, as in `POST /sum`"))?;
        let verbs = match verbs {
            "ANY" => Vec::new(),
            verbs => verbs
                .split(',')
                .map(|verb| match Method::from_str(verb) {
                    Ok(method) if verb != "ANY" && verb.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method),
                    _ => Err(invalid("verbs are written in capitals, with commas between, or `ANY` alone")),
                })
                .collect::<Result<_, _>>()?,
        };
        let (path, query) = match target.trim().split_once('?') {
            Some((path, names)) => (path, Some(names.split('&').map(str::to_owned).collect())),
            None => (target.trim(), None),
        };
        let route = Self { verbs, path: path.to_owned(), query };
        match wrong_with(&route) {
            Some(why) => Err(invalid(why)),
            None => Ok(route),
        }
    }
}

/// As it is parsed.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.verbs {
            [] => f.write_str("ANY")?,
            verbs => f.write_str(&verbs.iter().map(Method::as_str).collect::<Vec<_>>().join(","))?,
        }
        write!(f, " {}", self.path)?;
        match &self.query {
            Some(names) => write!(f, "?{}", names.join("&")),
            None => Ok(()),
        }
    }
}
