//! The address of an agent, as it stands in `CONSUL_HTTP_ADDR`.

use std::net::Ipv6Addr;

use reqwest::Url;

use crate::InvalidSetting;

/// Where an agent of this machine listens, unless told otherwise.
const LOCAL: &str = "127.0.0.1:8500";

/// The base of all URLs. With `tls`, a bare address and even an `http://` one is asked over TLS, as Consul's own
/// programs do it with `CONSUL_HTTP_SSL`.
pub(crate) fn parse(address: &str, tls: bool) -> Result<Url, InvalidSetting> {
    let given = address.trim();
    let (scheme, rest) = match given.split_once("://") {
        None => (if tls { "https" } else { "http" }, if given.is_empty() { LOCAL } else { given }),
        Some(("http", rest)) if !tls => ("http", rest),
        Some(("http" | "https", rest)) => ("https", rest),
        Some(("unix", path)) => {
            let how =
                "build the reqwest client with `unix_socket` and give its path there, and any `http://` address here";
            return Err(InvalidSetting::new(format!("invalid address \"unix://{path}\": for a socket, {how}")));
        }
        Some(_) => return Err(invalid(given, "the scheme must be http or https")),
    };
    if rest.contains('@') {
        // Not shown: it may hold a password.
        let what = "invalid address: user and password do not belong there, but into `with_basic_auth`";
        return Err(InvalidSetting::new(what));
    }
    if rest.parse::<Ipv6Addr>().is_ok() {
        return Err(invalid(given, "an IPv6 address stands in brackets, as in [::1]:8500"));
    }
    let mut url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| invalid(given, &error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(given, "it has a query or fragment"));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    Ok(url)
}

fn invalid(address: &str, why: &str) -> InvalidSetting {
    InvalidSetting::new(format!("invalid address {address:?}: {why}"))
}
