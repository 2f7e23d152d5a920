//! What the demonstration is about: discovery, three addsvc that it knows, and the live set of them.

use std::path::Path;
use std::sync::Arc;

use addsvc::Replies;
use anyhow::Context as _;
use apigateway::AddClient;
use kit_base::{Instance, Instancer};
use kit_lb::{Endpointer, Registry};
use kit_transport_grpc::{BuildError, GrpcClient, Prost};

use crate::events::until;
use crate::table::{Board, Seen};
use crate::{Agent, Backend, consul_at};

/// How long each call takes at a backend, so that some are always in flight.
const LATENCY: &str = "10ms";

pub(crate) const NAMES: [&str; 3] = ["addsvc-1", "addsvc-2", "addsvc-3"];

/// Who says what backends there are.
#[derive(Debug)]
pub(crate) enum Discovery {
    /// They do so themselves, at an agent that lives as long as this.
    Consul(Box<Agent>),
    /// Whoever starts and stops them, as an orchestrator would.
    Registry(Registry),
}

impl Discovery {
    /// Consul where there is one and it is wanted.
    async fn start(no_consul: bool) -> anyhow::Result<Self> {
        Ok(match Agent::program().filter(|_| !no_consul) {
            Some(program) => {
                let agent = Agent::start(&program).await;
                Self::Consul(Box::new(
                    agent.with_context(|| format!("{} is of no use; --no-consul does without", program.display()))?,
                ))
            }
            None => Self::Registry(Registry::new()),
        })
    }

    pub(crate) fn add(&self, backend: &Backend) {
        if let Self::Registry(registry) = self {
            registry.insert(Instance::new(backend.name(), backend.addr().to_string()));
        }
    }

    pub(crate) fn remove(&self, backend: &Backend) {
        if let Self::Registry(registry) = self {
            registry.remove(backend.name());
        }
    }
}

pub(crate) struct Stage {
    pub(crate) discovery: Discovery,
    pub(crate) backends: [Backend; 3],
    pub(crate) view: View,
}

impl Stage {
    /// Starts it all, and waits until all of the three are known. What the backends answer is counted on the board.
    pub(crate) async fn set(program: &Path, no_consul: bool, board: &Board) -> anyhow::Result<Self> {
        let discovery = Discovery::start(no_consul).await?;
        let start = |name| {
            let addr = if let Discovery::Consul(agent) = &discovery { Some(agent.addr()) } else { None };
            let consul = addr.iter().flat_map(|addr| ["--id", name, "--consul-addr", addr]);
            Backend::start(program, name, &["--latency", LATENCY].into_iter().chain(consul).collect::<Vec<_>>())
        };
        let backends = [start(NAMES[0])?, start(NAMES[1])?, start(NAMES[2])?];
        backends.iter().for_each(|backend| discovery.add(backend));
        let endpointer = match &discovery {
            Discovery::Consul(agent) => endpointer(consul_at(&agent.addr())?.service("addsvc").watch()?, board),
            Discovery::Registry(registry) => endpointer(registry.clone(), board),
        };
        let view = View { endpointer };
        until("not all of the three are known", || NAMES.iter().all(|name| view.seen(name) == Seen::Used)).await?;
        Ok(Self { discovery, backends, view })
    }
}

/// The live set, as the gateway has it.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) endpointer: Endpointer<AddClient>,
}

impl View {
    pub(crate) fn seen(&self, wanted: &str) -> Seen {
        match self.endpointer.snapshot().members.iter().find(|member| name(&member.instance) == wanted) {
            None => Seen::Gone,
            Some(member) if member.resting => Seen::Rests,
            Some(_) => Seen::Used,
        }
    }
}

fn endpointer(instancer: impl Instancer + 'static, board: &Board) -> Endpointer<AddClient> {
    let board = Arc::new(board.clone());
    Endpointer::new(instancer, move |instance: &Instance| {
        let (board, name) = (Arc::clone(&board), name(instance).to_owned());
        let client = GrpcClient::new(format!("http://{}", instance.address))?.codec((Prost, Replies));
        Ok::<_, BuildError>(client.finalizer(move |call| {
            if call.error.is_none() && !call.left {
                board.count(&name);
            }
        }))
    })
}

/// The id without the node that Consul puts before it.
fn name(instance: &Instance) -> &str {
    instance.id.rsplit('/').next().unwrap_or_default()
}
