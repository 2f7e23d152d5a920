//! The clients: one call after another by bare reqwest, and by kit's typed client over reqwest.

use std::error::Error;

use kit_endpoint::Context;
use kit_transport_http::HttpClient;

use crate::service::{Strings, StringsEndpoints, UppercaseReply, UppercaseRequest};

/// Their names, the one that the other is compared with first.
pub(crate) const NAMES: [&str; 2] = ["reqwest", "kit"];

/// Makes so many calls, and checks each answer.
pub(crate) fn call(name: &str, url: &str, calls: usize) -> Result<(), Box<dyn Error>> {
    let request = || UppercaseRequest { s: "hello, world".to_owned() };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        match name {
            "reqwest" => {
                let client = reqwest::Client::new();
                let url = format!("{url}/uppercase");
                for _ in 0..calls {
                    let answer = client.post(&url).json(&request()).send().await?.error_for_status()?;
                    check(&answer.json().await?)?;
                }
            }
            "kit" => {
                let remote = StringsEndpoints::connect(&HttpClient::new(url)?);
                for _ in 0..calls {
                    check(&remote.uppercase(&Context::new(), request()).await?)?;
                }
            }
            other => return Err(format!("no client {other:?}").into()),
        }
        Ok(())
    })
}

fn check(reply: &UppercaseReply) -> Result<(), Box<dyn Error>> {
    if reply.v == "HELLO, WORLD" { Ok(()) } else { Err(format!("answered {reply:?}").into()) }
}
