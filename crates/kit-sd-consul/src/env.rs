//! Settings from the environment, by the variables of Consul's own programs.

use std::env::{self, VarError};
use std::fs;

use reqwest::Client;

use crate::{Consul, InvalidSetting, Token, address};

/// An address that is given counts instead of the variable. Source: `api.defaultConfig` and `api.NewClient` of Consul.
pub(crate) fn consul(client: Client, address: Option<&str>) -> Result<Consul, InvalidSetting> {
    let tls = match variable("CONSUL_HTTP_SSL")? {
        Some(text) => boolean(&text)
            .ok_or_else(|| InvalidSetting::new(format!("CONSUL_HTTP_SSL must be true or false, got {text:?}")))?,
        None => false,
    };
    let base = match address {
        Some(address) => address::parse(address, tls)?,
        None => address::parse(&variable("CONSUL_HTTP_ADDR")?.unwrap_or_default(), tls)
            .map_err(|error| InvalidSetting::new(format!("CONSUL_HTTP_ADDR: {error}")))?,
    };
    let mut consul = Consul::at(client, base).with_token(token()?);
    if let Some(auth) = variable("CONSUL_HTTP_AUTH")? {
        let (user, password) = auth.split_once(':').unwrap_or((&auth, ""));
        consul = consul.with_basic_auth(user, password);
    }
    if let Some(namespace) = variable("CONSUL_NAMESPACE")? {
        consul = consul.with_namespace(namespace);
    }
    if let Some(partition) = variable("CONSUL_PARTITION")? {
        consul = consul.with_partition(partition);
    }
    Ok(consul)
}

/// A file wins over the variable, unless it is empty.
fn token() -> Result<Token, InvalidSetting> {
    if let Some(path) = variable("CONSUL_HTTP_TOKEN_FILE")? {
        let text = fs::read_to_string(&path)
            .map_err(|error| InvalidSetting::new(format!("CONSUL_HTTP_TOKEN_FILE: cannot read {path:?}: {error}")))?;
        if !text.trim().is_empty() {
            return Token::new(&text);
        }
    }
    Token::new(&variable("CONSUL_HTTP_TOKEN")?.unwrap_or_default())
}

/// A variable that is set to something.
fn variable(name: &str) -> Result<Option<String>, InvalidSetting> {
    match env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        // Not shown: it may be a secret.
        Err(VarError::NotUnicode(_)) => Err(InvalidSetting::new(format!("{name} is not UTF-8"))),
    }
}

/// As Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
