//! The service whose uppercase is done by others.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use kit_base::{Context, Error, Event, Instance, Origin};
use kit_breaker::{Breaker, InvalidSettings, Layer, Settings};
use kit_lb::{Endpointer, Fixed, PerInstance, RoundRobin};
use kit_ratelimit::{Quota, RateLimit};
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

/// Tells what becomes of an instance. (What is refused is told to the caller.)
#[expect(clippy::print_stderr, reason = "it is for whoever runs the program")]
fn tell(event: &Event<'_>) {
    match event.what {
        "opened" => eprintln!("stringsvc3: {} fails, and is not asked for a while", event.key),
        "half_opened" => eprintln!("stringsvc3: {} is asked again, to see whether it is well", event.key),
        "closed" => eprintln!("stringsvc3: {} is well again", event.key),
        _ => {}
    }
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
    /// To these, one after the other, each behind a breaker, and a limit. The breaker stands around the time limit, so that it
    /// sees who hangs; and around the rate limit, so that a call that it refuses takes no token. (In Go kit that would not do: what
    /// a limiter within refuses trips the breaker there, as it does in Go kit's addsvc. Here only what the instance does counts.)
    pub(crate) fn to(
        Instances(urls): Instances,
        timeout: Duration,
        open_for: Duration,
        quota: Quota,
    ) -> Result<Proxied<impl StringService>, InvalidSettings> {
        let instances: Vec<_> = urls.iter().enumerate().map(instance).collect();
        // With Go kit's defaults but for the time.
        let breaker = Breaker::new(Settings::gobreaker().open_for(open_for))?.observed_by(tell as fn(&Event<'_>));
        let endpointer = Endpointer::new(Fixed::new(instances), move |instance: &Instance| {
            let gates = (breaker.fresh().named(instance.address.clone()), RateLimit::new(quota));
            Ok::<_, BuildError>(PerInstance::new(gates).layer(client(instance)?.head_timeout(timeout)))
        });
        Ok(Proxied { others: StringServiceEndpoints::connect(&endpointer.balanced_by(RoundRobin::new())) })
    }
}

impl<S: StringService> StringService for Proxied<S> {
    /// What goes wrong at an instance is told within the reply, as Go kit's does it. Where none was asked there is no reply.
    async fn uppercase(&self, cx: &Context, req: StringRequest) -> Result<UppercaseReply, Error> {
        match self.others.uppercase(cx, req).await {
            Err(error) if error.origin() != Origin::LocalRefusal => {
                let err = error.peer_message().to_owned();
                Ok(UppercaseReply { v: String::new(), err: Some(err.into()) })
            }
            outcome => outcome,
        }
    }

    async fn count(&self, cx: &Context, req: StringRequest) -> Result<CountReply, Error> {
        Strings.count(cx, req).await
    }
}
