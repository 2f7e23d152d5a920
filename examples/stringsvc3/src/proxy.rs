//! The service whose uppercase is done by others.

use std::fmt;
use std::str::FromStr;

use kit_base::{Context, Error, Instance};
use kit_lb::{Endpointer, Fixed, RoundRobin};
use kit_transport_http::{BuildError, HttpClient};
use reqwest::Url;
use stringsvc1::{
    CountReply, StringRequest, StringService, StringServiceEndpoints, Strings, UppercaseReply, http_client,
};

/// The instances of a list, in its order: that is the order in which they are called.
#[derive(Clone, Debug)]
pub(crate) struct Instances(Vec<Url>);

impl FromStr for Instances {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        list.split(',').map(str::trim).map(url).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, url) in self.0.iter().enumerate() {
            write!(f, "{}{url}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn url(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).map_err(|error| format!("{text:?} is no address: {error}"))?;
    if url.path() == "/" {
        url.set_path("/uppercase");
    }
    // What is wrong with it is said now, and not at the first call.
    http_client(url.as_str()).map_err(|error| format!("{text:?} is no address: {error}"))?;
    Ok(url)
}

/// The balancer goes by the order of the ids. (The same address may be there twice.)
fn instance((number, url): (usize, &Url)) -> Instance {
    let mut instance = Instance::new(format!("{number:04}"), url.authority());
    instance.scheme = Some(url.scheme().to_owned());
    instance.metadata.insert("path".to_owned(), url.path().to_owned());
    instance
}

/// Calls uppercase at exactly its path.
fn client(instance: &Instance) -> Result<HttpClient, BuildError> {
    let scheme = instance.scheme.as_deref().unwrap_or("http");
    let path = instance.metadata.get("path").map_or("/uppercase", String::as_str);
    Ok(http_client(&format!("{scheme}://{}", instance.address))?.route("uppercase", format!("GET {path}")))
}

/// Leaves uppercase to others, and counts itself.
#[derive(Debug)]
pub(crate) struct Proxied<S> {
    others: S,
}

impl Proxied<()> {
    /// To these, one after the other.
    pub(crate) fn to(Instances(urls): Instances) -> Proxied<impl StringService> {
        let instances: Vec<_> = urls.iter().enumerate().map(instance).collect();
        let endpointer = Endpointer::new(Fixed::new(instances), client);
        Proxied { others: StringServiceEndpoints::connect(&endpointer.balanced_by(RoundRobin::new())) }
    }
}

impl<S: StringService> StringService for Proxied<S> {
    /// What goes wrong is told within the reply, as Go kit's does it.
    async fn uppercase(&self, cx: &Context, req: StringRequest) -> Result<UppercaseReply, Error> {
        let reply = self.others.uppercase(cx, req).await;
        Ok(reply.unwrap_or_else(|error| {
            let err = error.peer_message().to_owned();
            UppercaseReply { v: String::new(), err: Some(err.into()) }
        }))
    }

    async fn count(&self, cx: &Context, req: StringRequest) -> Result<CountReply, Error> {
        Strings.count(cx, req).await
    }
}
