//! The handle: addresses, the environment, and secrets that stay secret.

use std::process::Command;

use kit_sd_consul::{Consul, Token};
use kit_testing::backend::{Backend, Reply};
use kit_testing::temp::temp_dir;
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

/// The variable that tells the test below that it is the child.
const CHILD: &str = "KIT_SD_CONSUL_CHILD";

/// The variable that gives the child an address, as a flag would.
const AT: &str = "KIT_SD_CONSUL_AT";

/// What a process with this environment makes of it: the handle, or the error, and the headers of a request.
fn with_environment(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "settings::the_environment_is_read_as_consul_reads_it", "--nocapture"]).env(CHILD, "1");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONSUL_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    output.lines().find_map(|line| line.split_once("made: ")).unwrap_or_else(|| panic!("{output}")).1.to_owned()
}

#[test]
fn the_environment_is_read_as_consul_reads_it() {
    if std::env::var(CHILD).is_ok() {
        let made = match std::env::var(AT) {
            Ok(address) => Consul::from_env_at(Client::new(), &address),
            Err(_) => Consul::from_env(Client::new()),
        };
        match made {
            Ok(consul) => println!("made: {consul:?}"),
            Err(error) => println!("made: {error}"),
        }
        return;
    }
    let folder = temp_dir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cr3t\n").unwrap();
    let file = file.to_str().unwrap();
    for (variables, shown) in [
        (&[][..], "address: \"http://127.0.0.1:8500/\", token: Token(none), basic_auth: None"),
        (&[("CONSUL_HTTP_ADDR", "consul:1")], "address: \"http://consul:1/\""),
        (&[("CONSUL_HTTP_ADDR", "consul:1"), ("CONSUL_HTTP_SSL", "true")], "\"https://consul:1/\""),
        // Never back to plain HTTP where TLS was asked for.
        (&[("CONSUL_HTTP_ADDR", "http://consul:1"), ("CONSUL_HTTP_SSL", "1")], "\"https://consul:1/\""),
        (&[(AT, "here:2"), ("CONSUL_HTTP_ADDR", "consul:1"), ("CONSUL_HTTP_SSL", "true")], "\"https://here:2/\""),
        (&[(AT, "here:2"), ("CONSUL_HTTP_TOKEN", "s3cr3t")], "address: \"http://here:2/\", token: Token(set)"),
        (&[(AT, "here:x"), ("CONSUL_HTTP_ADDR", "consul:1")], "invalid address \"here:x\""),
        (&[("CONSUL_HTTP_SSL", "yes")], "CONSUL_HTTP_SSL must be true or false, got \"yes\""),
        (&[("CONSUL_HTTP_ADDR", "consul:x")], "CONSUL_HTTP_ADDR: invalid address \"consul:x\""),
        (&[("CONSUL_HTTP_TOKEN", "s3cr3t")], "token: Token(set)"),
        (&[("CONSUL_HTTP_TOKEN_FILE", file)], "token: Token(set)"),
        (&[("CONSUL_HTTP_TOKEN_FILE", "/nowhere/t")], "CONSUL_HTTP_TOKEN_FILE: cannot read \"/nowhere/t\""),
        (&[("CONSUL_HTTP_AUTH", "me:s3cr3t")], "basic_auth: Some(\"me\")"),
        (
            &[("CONSUL_NAMESPACE", "team"), ("CONSUL_PARTITION", "west")],
            "namespace: Some(\"team\"), partition: Some(\"west\")",
        ),
    ] {
        let made = with_environment(variables);
        assert!(made.contains(shown) && !made.contains("s3cr3t"), "{variables:?}: {made}");
    }
}

#[tokio::test]
async fn what_is_set_is_sent_with_each_query() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let agent = Consul::new(Client::new(), &format!("{}/behind/a/proxy/", backend.url())).unwrap();
    let agent = agent.with_token(Token::new(" s3cr3t\n").unwrap()).with_basic_auth("me", "pass");
    let agent = agent.with_datacenter("dc2").with_namespace("te am").with_partition("west");
    let _watch = agent.service("add/svc").watch().unwrap();
    let request = &backend.received(1).await[0];
    let wanted = "/behind/a/proxy/v1/health/service/add%2Fsvc?ns=te+am&partition=west&dc=dc2";
    assert_eq!(request.uri().to_string(), wanted);
    assert_eq!(request.headers()["x-consul-token"], "s3cr3t");
    assert_eq!(request.headers()["authorization"], "Basic bWU6cGFzcw==");
}
