//! The demonstration: discovery, three addsvc, the gateway, steady requests, and what becomes of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use addsvc::{AddEndpoints, http_client};
use anyhow::{Context as _, ensure};
use kit_serve::Server;
use stringsvc1::Strings;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::events::events;
use crate::stage::{Discovery, NAMES, Stage};
use crate::table::{Board, Table};
use crate::traffic::{Failed, Tally, steady};

/// A request that began this long after the kill can still be lost with it: until the gateway has read that its connection is
/// closed.
const NOTICES: Duration = Duration::from_millis(250);

/// The flags of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoFlags {
    /// How long it runs, at least.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(6..=3600))]
    pub seconds: u64,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// Lets the in-process registry stand in, also where Consul is installed.
    #[arg(long)]
    pub no_consul: bool,
}

/// Runs the demonstration. `program` is what knows the command `backend`. SIGINT and SIGTERM end it early. Whatever it has
/// started ends with it.
///
/// # Errors
/// Something could not be started, or did not stop or come back as it should, or a request failed that should not have.
pub async fn demo(flags: DemoFlags, program: &Path) -> anyhow::Result<()> {
    let signal = kit_serve::signal()?;
    tokio::select! {
        outcome = show(flags, program) => outcome,
        () = signal => {
            say("\nstopped by a signal");
            Ok(())
        }
    }
}

/// Dropped, it ends with all that it has started.
async fn show(flags: DemoFlags, program: &Path) -> anyhow::Result<()> {
    let board = Board::default();
    let Stage { discovery, mut backends, view } = Stage::set(program, flags.no_consul, &board).await?;

    let server = Server::bind("127.0.0.1:0").await?;
    let gateway = server.local_addr();
    // Its routes to strings are not asked here.
    let service = apigateway::gateway(AddEndpoints::connect(&view.endpointer.balancer()), Strings)?;

    say(&match &discovery {
        Discovery::Consul(agent) => format!("consul: an agent in a temporary folder, http on {}", agent.addr()),
        Discovery::Registry(_) if flags.no_consul => "no consul: an in-process registry stands in".to_owned(),
        Discovery::Registry(_) => {
            "no consul here (`cargo xtask servers consul`): an in-process registry stands in".to_owned()
        }
    });
    for backend in &backends {
        say(&format!("{}: http and grpc on {}", backend.name(), backend.addr()));
    }
    say(&format!("gateway: http on {gateway}, {} requests a second; grpc to addsvc\n", flags.rate));

    let length = Duration::from_secs(flags.seconds);
    // A task of its own, since it waits for processes. It gives back what is to live on.
    let mut happening = JoinSet::new();
    let happened = happening.spawn({
        let (board, view) = (board.clone(), view.clone());
        async move {
            let kill = events(&mut backends, &discovery, &board, &view, length).await;
            (kill, backends, discovery)
        }
    });
    let tally = Tally::default();
    let mut table = Table::new(&NAMES);
    say(&table.head());
    let lines = async {
        let second = Duration::from_secs(1);
        let mut seconds = interval_at(tokio::time::Instant::now() + second, second);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut printed = 0;
        // What has begun to happen is seen to its end.
        while printed < flags.seconds || !happened.is_finished() || board.has_news() {
            seconds.tick().await;
            printed += 1;
            say(&table.line(&board, |name| view.seen(name), tally.failed().len()));
        }
    };
    let remote = http_client(&format!("http://{gateway}/addsvc"))?;
    tokio::select! {
        () = steady(remote, flags.rate, tally.clone(), lines) => {}
        _ = server.serve(service, std::future::pending::<()>()) => {}
    }
    let (kill, ..) = happening.join_next().await.context("nothing has happened")??;
    sum_up(&tally, kill?)
}

/// Says what failed, and fails if it should not have: what was in flight at the killed one from the beginning of the kill to its
/// end may.
fn sum_up(tally: &Tally, kill: (Instant, Instant)) -> anyhow::Result<()> {
    let (killed, others): (Vec<Failed>, Vec<Failed>) =
        tally.failed().into_iter().partition(|failed| failed.ended >= kill.0 && failed.began <= kill.1 + NOTICES);
    let (requests, killed, failed) = (tally.requests(), killed.len(), others.len());
    say(&format!("\n{requests} requests: {killed} failed in flight at the kill of {}, {failed} otherwise", NAMES[1]));
    let mut reasons = BTreeMap::<_, usize>::new();
    for failed in others {
        *reasons.entry(failed.why).or_default() += 1;
    }
    for (why, times) in &reasons {
        say(&format!("{times} times: {why}"));
    }
    ensure!(reasons.is_empty(), "{failed} requests failed that should not have");
    Ok(())
}

/// A closed standard output is no reason to leave anything running.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
