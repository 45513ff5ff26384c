//! The vendor's limits on requests: so many a second, and so many a minute.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Stopwatch;

/// Requests in any second that the vendor allows an account.
const PER_SECOND: usize = 50;
/// Requests in any minute that the vendor allows an account. So many times are remembered.
const PER_MINUTE: usize = 1_000;

/// Lets requests go no faster than the vendor allows. They go in the order in which they asked.
#[derive(Debug)]
pub struct Pace {
    since: Stopwatch,
    /// When the last requests went, or will go.
    went: Mutex<VecDeque<Duration>>,
}

impl Pace {
    /// A pace at which nothing went yet.
    pub fn new() -> Self {
        Self { since: Stopwatch::start(), went: Mutex::default() }
    }

    /// Waits for the next request's turn.
    pub(super) async fn wait(&self) {
        let wait = {
            let now = self.since.elapsed();
            let mut went = self.went.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            turn(&mut went, now).saturating_sub(now)
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

/// When a request that asks at `now` may go. Its turn is noted.
fn turn(went: &mut VecDeque<Duration>, now: Duration) -> Duration {
    let limits = [(PER_SECOND, Duration::from_secs(1)), (PER_MINUTE, Duration::from_secs(60))];
    let turn = limits.into_iter().fold(now, |turn, (count, window)| {
        let earlier = went.len().checked_sub(count).and_then(|at| went.get(at));
        earlier.map_or(turn, |earlier| turn.max(*earlier + window))
    });
    went.push_back(turn);
    if went.len() > PER_MINUTE {
        went.pop_front();
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit(pauses in proptest::collection::vec(0_u64..200, 1..3_000)) {
            let (mut went, mut now, mut turns) = (VecDeque::new(), Duration::ZERO, Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause / 8);
                turns.push(turn(&mut went, now));
            }
            prop_assert!(turns.is_sorted());
            for (count, window) in [(PER_SECOND, Duration::from_secs(1)), (PER_MINUTE, Duration::from_secs(60))] {
                for (first, next) in turns.iter().zip(turns.iter().skip(count)) {
                    prop_assert!(*next - *first >= window);
                }
            }
            prop_assert!(went.len() <= PER_MINUTE);
        }
    }

    #[test]
    fn whoever_comes_rarely_never_waits() {
        let mut went = VecDeque::new();
        for second in 0..5_000 {
            let now = Duration::from_secs(second);
            assert_eq!(turn(&mut went, now), now);
        }
    }
}
