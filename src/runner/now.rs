//! What a run does at this moment. It is in memory alone, and gone when the step has ended.

use std::sync::{Arc, Mutex, PoisonError};

use crate::action::{Live, Tail};
use crate::clock::Stopwatch;
use crate::journal::record::{EachPlace, Phase};

/// How many steps of a run are told of that run at the same moment. Only an `each` has more than one.
const NOW_MAX: usize = 16;

/// A try of a step that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepNow {
    /// Which part of the rule.
    pub phase: Phase,
    /// Which step of it, from 0.
    pub step: usize,
    /// For which item, and which step of it, inside an `each`.
    pub each: Option<EachPlace>,
    /// Which try, from 1.
    pub attempt: u32,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// The end of what it has printed so far, where it is a process.
    pub tail: Option<Tail>,
}

/// Where in a run a try stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) phase: Phase,
    pub(super) step: usize,
    pub(super) each: Option<EachPlace>,
    pub(super) attempt: u32,
}

/// A try that goes on.
#[derive(Debug)]
pub(super) struct Try {
    place: Place,
    watch: Stopwatch,
    pub(super) live: Live,
}

/// The tries of a run that go on.
#[derive(Debug, Default)]
pub(super) struct Now(Mutex<Vec<Arc<Try>>>);

/// A try goes on as long as this is there.
pub(super) struct Going {
    now: Arc<Now>,
    pub(super) what: Arc<Try>,
}

impl Now {
    /// Notes that a try goes on.
    pub(super) fn begin(self: &Arc<Self>, place: Place) -> Going {
        let what = Arc::new(Try { place, watch: Stopwatch::start(), live: Live::default() });
        self.locked().push(Arc::clone(&what));
        Going { now: Arc::clone(self), what }
    }

    /// What goes on, in the order in which it began.
    pub(super) fn steps(&self) -> Vec<StepNow> {
        // Looked at outside the lock: taking secrets out of a text takes longer than a run should wait.
        let tries: Vec<Arc<Try>> = self.locked().iter().take(NOW_MAX).map(Arc::clone).collect();
        let view = |one: Arc<Try>| {
            let Place { phase, step, each, attempt } = one.place.clone();
            StepNow { phase, step, each, attempt, for_ms: one.watch.elapsed_ms(), tail: one.live.tail() }
        };
        tries.into_iter().map(view).collect()
    }

    /// How many bytes all that goes on has printed.
    pub(super) fn printed_bytes(&self) -> u64 {
        self.locked().iter().take(NOW_MAX).map(|one| one.live.printed_bytes()).sum()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Try>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.now.locked().retain(|one| !Arc::ptr_eq(one, &self.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_a_try_that_has_ended() {
        let now = Arc::new(Now::default());
        let place = |step| Place { phase: Phase::Steps, step, each: None, attempt: 1 };
        let (first, second) = (now.begin(place(0)), now.begin(place(1)));
        assert_eq!(now.steps().iter().map(|one| one.step).collect::<Vec<_>>(), [0, 1]);
        let gone = Arc::downgrade(&first.what);
        drop(first);
        assert_eq!(now.steps().iter().map(|one| one.step).collect::<Vec<_>>(), [1]);
        assert!(gone.upgrade().is_none());
        drop(second);
        assert_eq!((now.steps(), now.printed_bytes()), (Vec::new(), 0));
    }
}
