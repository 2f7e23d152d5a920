//! Many calls at once, over many connections.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

/// What became of the calls of a [`flood`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Counted {
    /// So many were answered.
    pub passed: u32,
    /// So many were refused.
    pub refused: u32,
    /// From before the first to after the last.
    pub took: Duration,
}

/// Makes so many calls over each of these connections, over all of them at once. A call tells whether it has passed.
///
/// # Errors
/// A call has failed otherwise than by a refusal; or other calls have passed than 5, and 5 more for each second that it took.
pub async fn flood<C, Calling>(connections: Vec<C>, calls: u32) -> anyhow::Result<Counted>
where
    C: Fn() -> Calling + Send + Sync + 'static,
    Calling: Future<Output = anyhow::Result<bool>> + Send,
{
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for call in connections {
        running.spawn(async move {
            let mut passed = 0;
            for _ in 0..calls {
                passed += u32::from(call().await?);
            }
            anyhow::Ok((passed, calls - passed))
        });
    }
    let (mut passed, mut refused) = (0, 0);
    while let Some(counted) = running.join_next().await {
        let counted = counted??;
        passed += counted.0;
        refused += counted.1;
    }
    let took = begun.elapsed();
    let most = 5 + (took.as_millis() / 200) as u32;
    ensure!((5..=most).contains(&passed), "{passed} calls have passed in {took:.2?} instead of 5 to {most}");
    Ok(Counted { passed, refused, took })
}
