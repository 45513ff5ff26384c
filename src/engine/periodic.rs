//! What is done again and again, also where there is never a moment to wait in.

use std::time::Duration;

use crate::clock::Stopwatch;

/// Something that is done again and again: when there is time to wait for it, and when there is none.
pub(super) struct Periodic {
    every: Duration,
    since_last: Stopwatch,
}

impl Periodic {
    pub(super) fn every(every: Duration) -> Self {
        Self { every, since_last: Stopwatch::start() }
    }

    /// Resolves when it is due.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(self.every.saturating_sub(self.since_last.elapsed())).await;
    }

    /// Whether it is due; if so, the next time is counted from now.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.since_last.elapsed() >= self.every;
        if is_due {
            self.since_last = Stopwatch::start();
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_periodic_comes_due_without_anyone_waiting_for_it() {
        let mut never = Periodic::every(Duration::MAX);
        assert!(!never.is_due());
        let mut soon = Periodic::every(Duration::from_millis(1));
        soon.wait().await;
        assert!(soon.is_due());
        let mut always = Periodic::every(Duration::ZERO);
        assert!(always.is_due() && always.is_due());
    }
}
