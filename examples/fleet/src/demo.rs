//! The demonstration: discovery, three addsvc, the gateway, steady requests, and what becomes of them.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use addsvc::{AddEndpoints, http_client};
use kit_serve::Server;
use stringsvc1::Strings;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::BoxError;
use crate::events::events;
use crate::stage::{Discovery, NAMES, Stage};
use crate::table::{Board, Table};
use crate::traffic::{Failed, Tally, steady};

/// A request that began this long after the kill can still be lost with it: until the gateway has read that its connection is
/// closed.
const NOTICES: Duration = Duration::from_millis(50);

/// The flags of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoFlags {
    /// How long it runs, at least.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(6..=3600))]
    pub seconds: u64,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub rate: u32,
    /// Lets the in-process registry stand in, also where Consul is installed.
    #[arg(long)]
    pub no_consul: bool,
}

/// Runs the demonstration, and says whether nothing failed that should not have. `program` is what knows the command `backend`.
/// SIGINT and SIGTERM end it early. Whatever it has started ends with it.
///
/// # Errors
/// Something could not be started, or did not stop or come back as it should.
pub async fn demo(flags: DemoFlags, program: &Path) -> Result<bool, BoxError> {
    let signal = kit_serve::signal()?;
    let board = Board::default();
    let Stage { discovery, mut backends, view } = Stage::set(program, flags.no_consul, &board).await?;

    let server = Server::bind("127.0.0.1:0").await?;
    let gateway = server.local_addr();
    // Its routes to strings are not asked here.
    let service = apigateway::gateway(AddEndpoints::connect(&view.endpointer.balancer()), Strings)?;
    let (stop_serving, stopped) = watch::channel(());
    let serving = tokio::spawn(server.serve(service, closed(stopped)));

    say(&match &discovery {
        Discovery::Consul(agent) => format!("consul: an agent in a temporary folder, http on {}", agent.addr()),
        Discovery::Registry(_) if flags.no_consul => "consul: left out; the in-process registry stands in".to_owned(),
        Discovery::Registry(_) => {
            "consul: not installed (`cargo xtask servers consul` does); the in-process registry stands in".to_owned()
        }
    });
    for backend in &backends {
        say(&format!("{}: http and grpc on {}", backend.name(), backend.addr()));
    }
    let rate = flags.rate;
    say(&format!("gateway: http on {gateway}; it is sent {rate} requests a second, and calls addsvc over grpc\n"));

    let (tally, length) = (Tally::default(), Duration::from_secs(flags.seconds));
    let (stop_requests, no_more) = watch::channel(());
    let remote = http_client(&format!("http://{gateway}/addsvc"))?;
    let requests = tokio::spawn(steady(remote, rate, tally.clone(), closed(no_more)));
    let happening = {
        let (board, view) = (board.clone(), view.clone());
        // A task of its own, since it waits for processes. It gives back what is to live on.
        tokio::spawn(async move {
            let kill = events(&mut backends, &discovery, &board, &view, length).await;
            (kill, backends, discovery)
        })
    };
    let mut table = Table::new(&NAMES);
    say(&table.head());
    let lines = async {
        let second = Duration::from_secs(1);
        let mut seconds = interval_at(tokio::time::Instant::now() + second, second);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut printed = 0;
        // What has begun to happen is seen to its end.
        while printed < flags.seconds || !happening.is_finished() || board.has_news() {
            seconds.tick().await;
            printed += 1;
            say(&table.line(&board, |name| view.seen(name), tally.failed().len()));
        }
    };
    let in_time = tokio::select! {
        () = lines => true,
        () = signal => false,
    };
    if !in_time {
        happening.abort();
    }
    drop(stop_requests);
    requests.await?;
    drop(stop_serving);
    serving.await?;
    match happening.await {
        Ok((kill, ..)) => Ok(sum_up(&tally, kill?)),
        Err(_) if !in_time => {
            say("\nstopped by a signal");
            Ok(true)
        }
        Err(panic) => Err(panic.into()),
    }
}

/// Says what failed and whether it should have: what was in flight at the killed one from the beginning of the kill to its end.
fn sum_up(tally: &Tally, kill: (Instant, Instant)) -> bool {
    let (killed, others): (Vec<Failed>, Vec<Failed>) =
        tally.failed().into_iter().partition(|failed| failed.ended >= kill.0 && failed.began <= kill.1 + NOTICES);
    let (requests, killed, failed) = (tally.requests(), killed.len(), others.len());
    say(&format!("\n{requests} requests: {killed} failed in flight at the kill of {}, {failed} otherwise", NAMES[1]));
    for failed in &others {
        say(&format!("failed: {}", failed.why));
    }
    others.is_empty()
}

/// Until the sender is dropped.
async fn closed(mut receiver: watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

/// A closed standard output is no reason to leave anything running.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
