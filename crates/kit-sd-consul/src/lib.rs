//! Consul discovery for kit: who serves now, kept through outages, and a registration that comes back.
//!
//! For programs that find the services that they call in Consul, or announce themselves there, over its HTTP API and your
//! `reqwest::Client`. It says who is there; which of them gets a call is kit-lb's business. Not for Consul's key-value store,
//! its sessions or its mesh.
//!
//! ```
//! use kit_base::{Instancer, Instances};
//! use kit_sd_consul::{Consul, Token};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // TLS, a proxy, a Unix socket: all that is the client's. No redirects, since they would take the token along.
//!     let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//!     let address = "127.0.0.1:8500"; // `Consul::from_env(client)` reads `CONSUL_HTTP_ADDR` and its like
//! #     // In the place of Consul: one answer, and then silence.
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let address = &*listener.local_addr()?.to_string();
//! #     tokio::spawn(async move {
//! #         let (mut socket, _) = listener.accept().await?;
//! #         socket.read(&mut [0; 4096]).await?;
//! #         let entry = r#"{"Node": {"Node": "n1"}, "Service": {"ID": "a", "Address": "10.0.0.7", "Port": 8081, "Tags": ["v2"]}}"#;
//! #         let head = format!("HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: {}\r\n\r\n", entry.len() + 2);
//! #         socket.write_all(format!("{head}[{entry}]").as_bytes()).await?;
//! #         std::future::pending::<std::io::Result<()>>().await
//! #     });
//!     let consul = Consul::new(client, address)?.with_token(Token::new("b1gs3cr3t")?);
//!     let watch = consul.service("addsvc").tag("v2").watch()?;
//!
//!     // The current set at once (here nothing yet), and then each change.
//!     let mut changes = watch.subscribe();
//!     while let Some(now) = changes.changed().await {
//!         if let Some(error) = &now.error {
//!             println!("{error}; the last set is of {:?}", now.since); // and stays in use
//!         }
//!         if let Instances::Known(set) = &now.instances {
//!             let addresses: Vec<_> = set.iter().map(|instance| instance.address.as_str()).collect();
//!             assert_eq!(addresses, ["10.0.0.7:8081"]);
//!             break;
//!         }
//!     }
//!     Ok(()) // the watch is dropped, and with it its task and its open request
//! }
//! ```
//!
//! # Watching
//!
//! [`Consul::service`] gives a [`ServiceQuery`]; its [`watch`](ServiceQuery::watch) is an
//! [`Instancer`](kit_base::Instancer). One task asks the health endpoint by blocking queries: each waits at the agent until something
//! changes, so a change is seen at once, and at rest there is one request a minute.
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | [`tag`](ServiceQuery::tag), [`filter`](ServiceQuery::filter) | none | who is wanted |
//! | [`passing_only`](ServiceQuery::passing_only) | `true` | only those whose checks, and whose node's checks, pass |
//! | [`stale`](ServiceQuery::stale) | off | any server may answer |
//! | [`wait`](ServiceQuery::wait) | 60 s | how long a query waits at the agent |
//! | [`min_interval`](ServiceQuery::min_interval) | 1 s | between queries in the long run; 5 at once after a rest |
//! | [`empty_after`](ServiceQuery::empty_after) | 10 s | how long a sudden emptiness is doubted |
//! | [`max_staleness`](ServiceQuery::max_staleness) | no limit | the age, of 64 s or more, at which a set is forgotten while Consul cannot be asked |
//! | [`backoff`](ServiceQuery::backoff) | 0.2 to 15 s | pauses between failed queries, with jitter |
//! | [`head_timeout`](Consul::head_timeout) | 10 s | to the head of an answer, on top of what it waits for |
//! | [`body_timeout`](Consul::body_timeout) | 30 s | from the head of an answer to its end |
//! | [`response_limit`](Consul::response_limit) | 64 MiB | of an answer: about 60,000 instances |
//!
//! | what Consul says | what is shown |
//! |---|---|
//! | nothing yet | `Pending` |
//! | no such service | `Absent` |
//! | a service, none of whose instances is wanted (checks, tags, filter) | `Known`, empty |
//! | nothing, with a filter | `Known`, empty: nobody can tell |
//! | nothing, since the token may not see it (Consul 1.11 and later say so) | an error; the last set stays |
//! | nothing, where there was something | the last set with an error, and after `empty_after` what is said |
//! | an index that went back | asked again in full before anything is shown |
//! | an error, an answer without an index, or that is none | the last set, with the error, at once |
//! | an answer of which some entries cannot be read, or have no port | the others |
//!
//! # Instances
//!
//! | field | from |
//! |---|---|
//! | `id` | `<node>/<service ID>`, since an ID is unique on its agent only |
//! | `address` | the address of the service, or else of its node, and the port; IPv6 in brackets |
//! | `weight` | `Weights.Passing`; `Weights.Warning` where the worst check warns; 0 where one is critical; 1 where nothing is said |
//! | `tags` | the tags |
//! | `zone` | `zone` in the service's metadata, or in its node's, or the locality (Consul 1.17 and later) |
//! | `scheme`, `server_name` | the same keys of the service's metadata |
//! | `metadata` | what is left of the service's metadata |
//!
//! The key `weight` of the metadata, if it is a number, counts instead of `Weights`: it can be 0.
//!
//! # Registering
//!
//! [`Consul::registrar`] gives a [`ConsulRegistrar`], a [`Registrar`](kit_base::Registrar). What it registers is a kept state: the
//! [`ConsulRegistration`] has one task, which sends the heartbeat or asks the agent whether it still knows the
//! instance, and registers it again where it does not.
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | [`check`](ConsulRegistrar::check) | a heartbeat, TTL 15 s | or HTTP, gRPC or TCP by the agent, or [none](Check::none) |
//! | [`readiness`](ConsulRegistrar::readiness) | always ready | the heartbeat says critical meanwhile |
//! | [`deregister_critical_after`](ConsulRegistrar::deregister_critical_after) | 10 min | removes what has died; 1 min at least |
//! | [`wait_for_agent`](ConsulRegistrar::wait_for_agent) | 30 s | how long `register` tries while there is no agent |
//! | [`poll_interval`](ConsulRegistrar::poll_interval) | 10 s | between questions, where there is no heartbeat |
//! | [`backoff`](ConsulRegistrar::backoff) | 1 to 10 s | pauses between tries while the agent fails, with jitter |
//!
//! | what happens | what follows |
//! |---|---|
//! | the agent is restarted with its data | the heartbeat goes on |
//! | it is replaced, or has lost the instance | registered again within a third of the TTL, or the poll interval |
//! | it could not be asked for a while | asked within 15 s of its return: the longest pause, and a request that hung |
//! | the token is replaced | registered again at once, since the agent writes to the catalog with the token of the registration |
//! | [`update`](ConsulRegistration::update) | changed in place: the id and the state of the checks stay, and watchers see no gap |
//! | [`deregister`](kit_base::Registration::deregister) | ends it, and says whether the agent knows |
//! | [`deregister_and_wait`](ConsulRegistration::deregister_and_wait) | as well, and watchers can have seen it: then stop serving |
//! | drop, also of the future of `register` | deregistered at best effort, for at most 2 s, in the background |
//! | the process dies | critical after the TTL, or the check; removed after `deregister_critical_after` |
//!
//! # Behaviour
//!
//! - **Clones** of [`Consul`] share the client and the token, those of a [`ConsulInstancer`] the watch.
//! - **Cancellation.** With the last [`ConsulInstancer`] the watch ends at once, wherever it is: its task and its open request.
//!   Subscribers see the last set, with an error, and then the end.
//!   With a [`ConsulRegistration`] its task and its open request end at once, but for the deregistration of at most 2 s; a
//!   registration that is on its way has 1 s of them, lest the agent take it last.
//! - **Runtime.** tokio with I/O and time. A watch that is made elsewhere is refused by an [`InvalidSetting`].
//! - **Requests.** However the agent answers, a watch sends at most 60 a minute, and 5 more in the first one; while all fail, at
//!   most 14 in the first one, and then 9. An agent that is back is noticed within 25 s (the longest pause, and a request that
//!   hung), a silent one after 74 s (`wait`, a sixteenth of it, `head_timeout`).
//!   A registration sends 12 a minute (the heartbeat; 6 where the agent is only asked), and at most 30 while all fail. Each is
//!   given up after 5 s, or 10 s where its answer has begun. [`deregister_and_wait`](ConsulRegistration::deregister_and_wait) asks
//!   the catalog about 4 times a second, until its limit.
//! - **Rights.** With ACLs, a watch needs `service:read` and `node:read`, a registration `service:write`.
//! - **A new past.** An agent that was replaced between two queries by one with lower indexes lets the second query wait for an
//!   index of its predecessor: it answers when `wait` is over, and then all is asked again.
//! - **Memory.** A watch holds its set, and one answer while it reads it. Answers are read with pauses for other tasks.
//! - **Redirects** are not Consul's; where your client follows one, each hop is a request more, and carries the token.
//!
//! # Errors
//!
//! Settings that make no sense are an [`InvalidSetting`]; those of a registrar are told by `register`, with the kind
//! `InvalidArgument`. What goes wrong later is the [`error`](kit_base::Snapshot::error) of a snapshot, or of a
//! [`RegistrationState`], and what calls of a registration return:
//!
//! | what happened | kind |
//! |---|---|
//! | no connection; it broke; 5xx, as without a leader; a set suddenly empty; a stale answer without a leader | `Unavailable` |
//! | no answer, or none to its end, within the limits of time | `DeadlineExceeded` |
//! | 403: the token is unknown, or may not; or it may not see the service | `PermissionDenied` |
//! | 401, 404: a proxy in between, or no Consul at this address | `Unauthenticated`, `NotFound` |
//! | 400, as for a wrong filter, or metadata that Consul does not take | `InvalidArgument` |
//! | the answer is too large; 429 | `ResourceExhausted` |
//! | the answer is not what the API promises | `DataLoss` |
//! | a redirect | `FailedPrecondition` |
//! | the client lacks TLS | `Internal` |
//!
//! No error and no `Debug` output shows the token or the password.
//!
//! # Events and log fields
//!
//! Nothing is logged. An [`observer`](ServiceQuery::observer) is told, with the source `consul`:
//!
//! | what | key | amount | when |
//! |---|---|---|---|
//! | `updated` | the service | instances | another set is shown |
//! | `failed` | the service | 1 | a query failed |
//! | `doubted` | the service | 1 | a set is suddenly empty, and not believed yet |
//! | `reset` | the service | 1 | the index went back |
//! | `expired` | the service | 1 | a set became older than `max_staleness` |
//! | `left_out` | the instance, or `<service>[<place>]` | 1 | an entry cannot be read, or nobody could connect to it; the first 1,000 of an answer |
//!
//! The one of a [registrar](ConsulRegistrar::observer), with the source `registrar`, the id of the instance and 1:
//!
//! | what | when |
//! |---|---|
//! | `registered`, `updated` | the agent has taken the instance, anew or changed |
//! | `lost` | the agent does not know it any more |
//! | `failed` | a try failed |
//! | `deregistered` | the agent has taken it back |
//! | `abandoned` | the agent could not be told; the instance stays until Consul forgets it |
//!
//! # Differences from Go kit
//!
//! - The first query is not waited for, and none blocks a constructor. Stopping ends the open request, also during a pause.
//! - Errors are shown at once, beside the set, and do not replace it; Go kit sleeps first, and then shows only the error.
//! - Queries wait 60 s, not 5 minutes, and are given up if the agent is silent. There is a floor under their rate.
//! - An index of zero is an error that is seen. Weights, metadata and zones are taken over; IPv6 addresses are in brackets.
//! - Without `passing_only`, critical instances have weight 0; in Go kit they get their share.
//! - A registration stays: Go kit's registrar tells the agent once, logs the error, sends no heartbeat, and does not come back after
//!   a restart of the agent. It can be changed, and its end can be waited for.
//! - Tags are compared without regard to case, as in Consul; Go kit does so for the first one only.

mod address;
mod call;
mod check;
mod consul;
mod entry;
mod env;
mod error;
mod expiry;
mod floor;
mod health;
mod instancer;
mod keeper;
mod meta;
mod passing;
mod plan;
mod query;
mod registrar;
mod registration;
mod service;
mod token;
mod watch;

pub use check::Check;
pub use consul::Consul;
pub use error::InvalidSetting;
pub use instancer::ConsulInstancer;
pub use query::ServiceQuery;
pub use registrar::ConsulRegistrar;
pub use registration::{ConsulRegistration, RegistrationState};
pub use token::Token;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
