//! The demonstration: discovery, three addsvc, the gateway, steady requests, and what becomes of them.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use addsvc::{AddEndpoints, grpc_connection, http_connection};
use apigateway::AddClient;
use kit_base::{Instance, Instancer};
use kit_lb::{Endpointer, Registry};
use kit_serve::Server;
use stringsvc1::Strings;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::events::{Discovery, events, until};
use crate::table::{Board, Seen, Table};
use crate::traffic::{Failed, Tally, steady};
use crate::{Agent, Backend, consul_at};

/// A request that began this long after the kill can still be lost with it: until the gateway has read that its connection is
/// closed.
const NOTICES: Duration = Duration::from_millis(50);

/// How long each call takes at a backend, so that some are always in flight.
const LATENCY: &str = "10ms";

/// The flags of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoFlags {
    /// How long it runs.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(3..=3600))]
    pub seconds: u64,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub rate: u32,
    /// Lets the in-process registry stand in, also where Consul is installed.
    #[arg(long)]
    pub no_consul: bool,
}

/// Runs the demonstration, and says whether nothing failed that should not have. `program` is what knows the command `backend`.
///
/// # Errors
/// Something could not be started, or did not stop or come back as it should.
pub async fn demo(flags: DemoFlags, program: &Path) -> Result<bool, Box<dyn Error>> {
    let signal = kit_serve::signal()?;
    let agent = match Agent::program().filter(|_| !flags.no_consul) {
        Some(consul) => Some(Agent::start(&consul).await?),
        None => None,
    };
    let names = ["addsvc-1", "addsvc-2", "addsvc-3"];
    let board = Board::default();
    let (discovery, endpointer) = match &agent {
        Some(agent) => {
            let watch = consul_at(&agent.addr())?.service("addsvc").watch()?;
            (Discovery::Consul, endpointer(watch, &board))
        }
        None => {
            let registry = Registry::new();
            (Discovery::Registry(registry.clone()), endpointer(registry, &board))
        }
    };
    let start = |name: &str| {
        let addr = agent.as_ref().map(Agent::addr);
        let consul = addr.iter().flat_map(|addr| ["--id", name, "--consul-addr", addr]);
        Backend::start(program, name, &["--latency", LATENCY].into_iter().chain(consul).collect::<Vec<_>>())
    };
    let mut backends = [start(names[0])?, start(names[1])?, start(names[2])?];
    backends.iter().for_each(|backend| discovery.add(backend));

    let server = Server::bind("127.0.0.1:0").await?;
    let gateway = server.local_addr();
    // The routes to stringsvc stay unused here.
    let service = apigateway::gateway(AddEndpoints::connect(&endpointer.balancer()), Strings)?;
    let (stop_serving, stopped) = watch::channel(());
    let serving = tokio::spawn(server.serve(service, closed(stopped)));
    let seen = {
        let endpointer = endpointer.clone();
        move |name: &str| seen(&endpointer, name)
    };
    until("not all of the three are seen", || names.iter().all(|name| seen(name) == Seen::Used))
        .await
        .map_err(|error| -> Box<dyn Error> { error })?;

    say(&match &agent {
        Some(agent) => format!("consul: {} at http://{}", "an agent of its own, in a temporary folder,", agent.addr()),
        None if flags.no_consul => "consul: left out; the in-process registry stands in".to_owned(),
        None => "consul: not installed (`cargo xtask servers consul`); the in-process registry stands in".to_owned(),
    });
    for backend in &backends {
        say(&format!("{}: http and grpc on {}", backend.name(), backend.addr()));
    }
    say(&format!("gateway: http on {gateway}; {} requests a second to /addsvc/sum\n", flags.rate));

    let (tally, length) = (Tally::default(), Duration::from_secs(flags.seconds));
    let (stop_requests, no_more) = watch::channel(());
    let remote = AddEndpoints::connect(&http_connection(&format!("http://{gateway}/addsvc"))?);
    let requests = tokio::spawn(steady(remote, flags.rate, tally.clone(), closed(no_more)));
    // A task of its own, since it waits for processes.
    let happening = {
        let (board, seen) = (board.clone(), seen.clone());
        tokio::spawn(async move {
            let kill = events(&mut backends, &discovery, &board, seen, length).await;
            (kill, backends)
        })
    };
    let mut table = Table::new(names.map(str::to_owned).to_vec());
    say(&table.head());
    let lines = async {
        let begun = tokio::time::Instant::now();
        let mut seconds = interval_at(begun + Duration::from_secs(1), Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut printed = 0;
        // What has begun to happen is seen to its end.
        while printed < flags.seconds || !happening.is_finished() {
            seconds.tick().await;
            printed += 1;
            say(&table.line(&board, &seen, tally.failed().len()));
        }
    };
    let in_time = tokio::select! {
        () = lines => true,
        () = signal => false,
    };
    drop(stop_requests);
    requests.await?;
    drop(stop_serving);
    serving.await?;
    if !in_time {
        say("stopped by a signal");
        happening.abort();
        return Ok(true);
    }
    let (kill, backends) = happening.await?;
    drop(backends);
    let kill = kill.map_err(|error| -> Box<dyn Error> { error })?;
    let (in_flight, others): (Vec<Failed>, Vec<Failed>) =
        tally.failed().into_iter().partition(|failed| failed.ended >= kill.0 && failed.began <= kill.1 + NOTICES);
    let (requests, lost) = (tally.requests(), in_flight.len());
    say(&format!("\n{requests} requests, {lost} failed with {}, in flight there at the kill; {} others", names[1], others.len()));
    for failed in &others {
        say(&format!("failed: {}", failed.why));
    }
    Ok(others.is_empty())
}

/// The live set of addsvc, which counts on the board what each has answered.
fn endpointer(instancer: impl Instancer + 'static, board: &Board) -> Endpointer<AddClient> {
    let board = Arc::new(board.clone());
    Endpointer::new(instancer, move |instance: &Instance| {
        let (board, name) = (Arc::clone(&board), name(instance).to_owned());
        let client = grpc_connection(&format!("http://{}", instance.address))?;
        Ok::<_, kit_transport_grpc::BuildError>(client.finalizer(move |call| {
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

fn seen(endpointer: &Endpointer<AddClient>, id: &str) -> Seen {
    match endpointer.snapshot().members.iter().find(|member| name(&member.instance) == id) {
        None => Seen::Gone,
        Some(member) if member.resting => Seen::Rests,
        Some(_) => Seen::Used,
    }
}

/// Until the sender is dropped.
async fn closed(mut receiver: watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

/// A closed standard output is no reason to leave anything running.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
