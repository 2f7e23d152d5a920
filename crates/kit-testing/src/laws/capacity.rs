//! Filling a layer up, and looking whether all of its places are free.

use std::time::Duration;

use super::bench::Bench;
use super::declared::Breaker;
use super::law::{Law, Step};
use super::outer::{End, Outer};
use super::subject::Failed;
use super::world::{NodeState, Reply};

/// Longer than a layer may take for itself, or pause after a failure.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

impl Bench<'_> {
    /// With all calls over, lets the layer forget what was, and sees that as many get in as at the beginning.
    pub(crate) async fn capacity(&mut self) -> Step {
        self.world.note("now all places must be free");
        self.set_node(0, NodeState::Ready);
        if self.declared.quota.is_some() || self.declared.breaker.is_some() {
            self.recover().await?;
        }
        if let Some(most) = self.declared.at_most {
            let before = self.world.lock().arrived.len();
            for _ in 0..most {
                self.start().await?;
            }
            let inside = self.world.lock().arrived.len() - before;
            if inside < most {
                return Law::PermitsReturn.broken(format!("all calls are over, and {inside} of {most} get in"));
            }
        } else if self.declared.quota.is_none() && self.declared.breaker.is_none() {
            let call = self.start().await?;
            // Somebody may pause before the next connection.
            if self.reached(call) == 0 && self.wait(PAUSE).await? {
                self.drive(call).await?;
            }
            if self.reached(call) == 0 {
                return match self.calls[call].end() {
                    Some(_) => Law::PermitsReturn.broken("all calls are over, and a new one does not get in"),
                    None => Law::NoHang.broken("all calls are over, and a new one waits"),
                };
            }
        }
        self.finish().await
    }

    /// Lets time pass until the layer lets calls in again, a few times, and answers them well.
    pub(crate) async fn recover(&mut self) -> Step {
        let probes = self.declared.breaker.map_or(1, |breaker| breaker.probes);
        let was_half_open = self.declared.breaker.is_some_and(|breaker| self.began.elapsed() >= breaker.open_for);
        let lost = |call: &Outer| matches!(call.end(), Some(End::Left | End::Panicked));
        let may_have_lost = self.calls.iter().any(lost);
        let mut got_in = 0;
        for _ in 0..8 {
            self.advance(self.declared.recovery()).await?;
            let mut well = 0;
            for _ in 0..=probes {
                let call = self.start().await?;
                for number in self.unanswered() {
                    self.answer(number, Reply::OK).await?;
                }
                self.drive_all().await?;
                well += usize::from(matches!(self.calls[call].end(), Some(End::Answered)));
                got_in += self.reached(call);
                self.leave(call).await?;
            }
            // A quota of one lets one in; a circuit that is closed lets all in.
            if well > probes || (self.declared.breaker.is_none() && well > 0) {
                self.advance(self.declared.recovery()).await?;
                return Ok(());
            }
        }
        match self.declared.breaker {
            // No probe was lost yet, so it must be the time.
            Some(Breaker { open_for, .. }) if got_in == 0 && !was_half_open => {
                Law::Clock.broken(format!("a circuit that is open for {open_for:?} lets no call in any more"))
            }
            Some(_) => Law::HalfOpen.broken("all calls are over, and the circuit does not close any more"),
            // Nobody left, so nothing was lost, and it must be the time.
            None if got_in == 0 && !may_have_lost => {
                Law::Clock.broken("all calls are over, and however much time passes, none gets in any more")
            }
            None => Law::PermitsReturn.broken("all calls are over, and none gets in any more"),
        }
    }

    /// Uses the layer up, so that it should let nobody in: all places taken by calls that hang, the quota used, the circuit
    /// open. False where nothing is declared that can be used up.
    pub(crate) async fn exhaust(&mut self, service: usize) -> Step<bool> {
        if let Some(breaker) = self.declared.breaker {
            self.trip(service, breaker.failures).await?;
        } else if let Some((quota, _)) = self.declared.quota {
            for _ in 0..quota {
                let call = self.start_through(service, true).await?;
                for number in self.unanswered() {
                    self.answer(number, Reply::OK).await?;
                }
                self.drive(call).await?;
                if !matches!(self.calls[call].end(), Some(End::Answered)) {
                    return Law::Bound
                        .broken(format!("call {} of a quota of {quota} did not get in", self.calls[call].ask.id));
                }
            }
        } else if let Some(most) = self.declared.at_most {
            for _ in 0..most {
                let call = self.start_through(service, true).await?;
                if self.reached(call) == 0 {
                    return Law::Bound.broken(format!("call {} of {most} did not get in", self.calls[call].ask.id));
                }
            }
        } else if self.declared.sheds {
            self.set_node(0, NodeState::Pending);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Lets calls fail until a circuit opens.
    pub(crate) async fn trip(&mut self, service: usize, failures: usize) -> Step {
        for _ in 0..failures {
            let call = self.start_through(service, true).await?;
            for number in self.unanswered() {
                self.answer(number, Reply::FAIL).await?;
            }
            self.drive(call).await?;
            match self.calls[call].end() {
                Some(End::Failed(Failed::Inner { .. })) => {}
                _ => return Law::HalfOpen.broken(format!("a closed circuit did not let call {} in", call + 1)),
            }
        }
        Ok(())
    }
}
