//! Who is connected, and who must go when it gets too full.
//!
//! The cap is applied after accept: before it, a handful of silent sockets would keep everybody out. Each new
//! connection is let in, and the one that has waited longest without a complete request makes room for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Stands for a connection whose request is complete and being answered: it is not asked to go.
const ANSWERING: u64 = u64::MAX;

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Counts arrivals and answers; orders waits without reading a clock.
    turns: AtomicU64,
    /// By the turn at which they arrived. Bounded by the cap that [`Crowd::enter`] is given.
    places: Mutex<HashMap<u64, Arc<Shared>>>,
}

#[derive(Debug)]
struct Shared {
    /// The turn since which it waits for a complete request, or [`ANSWERING`].
    waits_since: AtomicU64,
    leave: Notify,
}

/// One connection's place. Gives itself back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    arrived: u64,
    shared: Arc<Shared>,
}

impl Crowd {
    /// Lets a connection in, asking others to leave while there are `cap` or more. `None` where every one of
    /// them is being answered.
    pub(super) fn enter(self: &Arc<Self>, cap: usize) -> Option<Place> {
        let arrived = self.turn();
        let shared = Arc::new(Shared { waits_since: AtomicU64::new(arrived), leave: Notify::new() });
        let mut places = self.places();
        while places.len() >= cap {
            if !push_out_longest_waiting(&mut places) {
                return None;
            }
        }
        places.insert(arrived, Arc::clone(&shared));
        drop(places);
        Some(Place { crowd: Arc::clone(self), arrived, shared })
    }

    /// Asks the connection that has waited longest to leave; false where none waits.
    pub(super) fn make_room(&self) -> bool {
        push_out_longest_waiting(&mut self.places())
    }

    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Arc<Shared>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A search through all: at the cap of some thousand this costs microseconds, while an order kept up to date
/// would cost every request.
fn push_out_longest_waiting(places: &mut HashMap<u64, Arc<Shared>>) -> bool {
    let longest = places
        .iter()
        .map(|(arrived, shared)| (shared.waits_since.load(Ordering::Relaxed), *arrived))
        .filter(|(waits_since, _)| *waits_since != ANSWERING)
        .min();
    let Some(shared) = longest.and_then(|(_, arrived)| places.remove(&arrived)) else { return false };
    shared.leave.notify_one();
    true
}

impl Place {
    /// Says that a complete request came and is being answered.
    pub(super) fn answering(&self) {
        self.shared.waits_since.store(ANSWERING, Ordering::Relaxed);
    }

    /// Says that the answer is given: the wait for the next request begins.
    pub(super) fn waiting(&self) {
        self.shared.waits_since.store(self.crowd.turn(), Ordering::Relaxed);
    }

    /// Resolves when the connection must make room.
    pub(super) async fn asked_to_leave(&self) {
        self.shared.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.places().remove(&self.arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked_to_leave(place: &Place) -> bool {
        use std::future::Future;
        let mut asked = std::pin::pin!(place.asked_to_leave());
        asked.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn the_longest_waiting_makes_room() {
        let crowd = Arc::new(Crowd::default());
        let first = crowd.enter(3).unwrap();
        let second = crowd.enter(3).unwrap();
        let third = crowd.enter(3).unwrap();
        first.answering();
        first.waiting();
        third.answering();
        let _fourth = crowd.enter(3).unwrap();
        assert!(is_asked_to_leave(&second));
        assert!(!is_asked_to_leave(&first));
        let _fifth = crowd.enter(3).unwrap();
        assert!(is_asked_to_leave(&first));
        assert!(!is_asked_to_leave(&third));
    }

    #[test]
    fn nobody_who_is_being_answered_must_go() {
        let crowd = Arc::new(Crowd::default());
        let only = crowd.enter(1).unwrap();
        only.answering();
        assert!(crowd.enter(1).is_none());
        assert!(!is_asked_to_leave(&only));
        drop(only);
        assert!(crowd.enter(1).is_some());
    }

    #[test]
    fn places_are_given_back() {
        let crowd = Arc::new(Crowd::default());
        for _ in 0..100 {
            drop(crowd.enter(2));
        }
        assert!(crowd.places().is_empty());
    }
}
