//! What happens to the fleet while it is under load.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep_until;

use crate::Backend;
use crate::stage::{Discovery, View};
use crate::table::{Board, Seen};

/// How long a backend may take to leave, or to serve again once it is back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Kills a backend and starts it anew later, and restarts another one cleanly. Gives when the kill began and was done.
pub(crate) async fn events(
    backends: &mut [Backend; 3],
    discovery: &Discovery,
    board: &Board,
    view: &View,
    length: Duration,
) -> anyhow::Result<(Instant, Instant)> {
    // Each between two lines.
    let begun = tokio::time::Instant::now() + Duration::from_millis(500);
    let [_, second, third] = backends;

    sleep_until(begun + length / 6).await;
    let kill = Instant::now();
    second.kill()?;
    let kill = (kill, Instant::now());
    board.tell(format!("{}: kill -9", second.name()));

    // At Consul, a heartbeat is missed.
    sleep_until(begun + length / 3).await;
    discovery.remove(second);

    sleep_until(begun + length / 2).await;
    second.restart()?;
    discovery.add(second);
    serves_again(second, board).await?;

    sleep_until(begun + length * 3 / 4).await;
    board.tell(format!("{}: SIGTERM", third.name()));
    discovery.remove(third);
    if let Discovery::Registry(_) = discovery {
        // At Consul, the backend does so itself before it stops.
        until(&format!("{} is still called", third.name()), || view.seen(third.name()) == Seen::Gone).await?;
    }
    let status = third.stop()?;
    if !status.success() {
        bail!("{} did not stop cleanly: {status}", third.name());
    }
    third.restart()?;
    discovery.add(third);
    serves_again(third, board).await?;
    Ok(kill)
}

async fn serves_again(backend: &Backend, board: &Board) -> anyhow::Result<()> {
    let before = board.served(backend.name());
    until(&format!("{} is not called again", backend.name()), || board.served(backend.name()) > before).await?;
    board.tell(format!("{}: back", backend.name()));
    Ok(())
}

/// Waits until something is so; says what is wrong if it never is.
pub(crate) async fn until(wrong: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            bail!("{wrong} after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
