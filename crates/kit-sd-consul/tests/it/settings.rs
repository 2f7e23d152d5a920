//! The handle: addresses, the environment, and secrets that stay secret.

use kit_sd_consul::{Consul, Token};
use reqwest::Client;

fn shown(address: &str) -> String {
    match Consul::new(Client::new(), address) {
        Ok(consul) => format!("{consul:?}").split('"').nth(1).unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_address_is_what_consul_takes_for_one() {
    for (address, base) in [
        ("", "http://127.0.0.1:8500/"),
        ("127.0.0.1:8500", "http://127.0.0.1:8500/"),
        ("consul", "http://consul/"),
        ("[::1]:8500", "http://[::1]:8500/"),
        ("http://consul:8500/", "http://consul:8500/"),
        ("https://consul.example:8501", "https://consul.example:8501/"),
        ("http://proxy/consul/", "http://proxy/consul"),
    ] {
        assert_eq!(shown(address), base, "{address}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_and_shown() {
    for (address, why) in [
        ("unix:///run/consul.sock", "unix_socket"),
        ("ftp://consul", "\"ftp://consul\": the scheme must be http or https"),
        ("::1:8500", "brackets"),
        ("consul:port", "\"consul:port\": invalid port number"),
        ("http://", "\"http://\": empty host"),
        ("http://consul?dc=a", "query"),
    ] {
        assert!(shown(address).contains(why), "{address}: {}", shown(address));
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let error = shown("http://me:s3cr3t@consul:8500");
    assert!(error.contains("with_basic_auth") && !error.contains("s3cr3t"), "{error}");
    let error = Token::new("s3cr3t\u{1}").unwrap_err().to_string();
    assert!(error.contains("token") && !error.contains("s3cr3t"), "{error}");
    let consul = Consul::new(Client::new(), "").unwrap().with_basic_auth("me", "s3cr3t");
    let consul = consul.with_token(Token::new("s3cr3t").unwrap());
    assert!(!format!("{consul:?}").contains("s3cr3t"), "{consul:?}");
}
