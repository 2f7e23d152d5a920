//! What happens to the fleet while it is under load.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::stage::{Discovery, View};
use crate::table::{Board, Seen};
use crate::{Backend, BoxError};

/// How long a backend may take to leave, or to serve again once it is back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Kills a backend and starts it anew later, and restarts another one cleanly. Gives when the kill began and was done.
pub(crate) async fn events(
    backends: &mut [Backend; 3],
    discovery: &Discovery,
    board: &Board,
    view: &View,
    length: Duration,
) -> Result<(Instant, Instant), BoxError> {
    let begun = tokio::time::Instant::now();
    let [_, second, third] = backends;

    sleep_until(begun + length / 6).await;
    let kill = Instant::now();
    second.kill()?;
    let kill = (kill, Instant::now());
    board.tell(format!("{} killed (kill -9)", second.name()));

    sleep_until(begun + length / 2).await;
    second.restart()?;
    serves_again(second, board).await?;

    sleep_until(begun + length * 3 / 4).await;
    board.tell(format!("{} restarts (SIGTERM)", third.name()));
    discovery.remove(third);
    if let Discovery::Registry(_) = discovery {
        // At Consul, the backend does so itself before it stops.
        until(&format!("{} is still called", third.name()), || view.seen(third.name()) == Seen::Gone).await?;
    }
    let status = third.stop()?;
    if !status.success() {
        return Err(format!("{} did not stop cleanly: {status}", third.name()).into());
    }
    third.restart()?;
    discovery.add(third);
    serves_again(third, board).await?;
    Ok(kill)
}

async fn serves_again(backend: &Backend, board: &Board) -> Result<(), BoxError> {
    let before = board.served(backend.name());
    until(&format!("{} is not called again", backend.name()), || board.served(backend.name()) > before).await?;
    board.tell(format!("{} is back", backend.name()));
    Ok(())
}

/// Waits until something is so; says what is wrong if it never is.
pub(crate) async fn until(wrong: &str, is_so: impl Fn() -> bool) -> Result<(), BoxError> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{wrong} after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
