//! Work that takes long: bounded in how much of it goes on, and off the threads that answer and decide.
//!
//! Both listeners share it. A place is given back when the work has ended, not when whoever asked has gone; those who
//! go call their work off.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::api::ApiError;
use crate::engine::Handle;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::store::StoreError;
use crate::replay::{Budget, Folded, ReplayError};

/// How many backtests go on at a time. Each takes the most of a core or two.
pub(super) const BACKTESTS_MAX: usize = 1;
/// How long a backtest may take. Whoever needs longer has the command line, on a copy of the journal if need be.
pub(super) const BACKTEST_WITHIN: Duration = Duration::from_secs(30);
/// How many records a backtest may read: what a release build gets through in that time.
pub(super) const BACKTEST_RECORDS_MAX: u64 = 5_000_000;
/// By how much the threads of a backtest stand back behind those of the engine, as nice(2) counts.
const BACKTEST_NICE: i32 = 10;
/// How many times the whole journal is read at a time, to fold it or to check its chain.
pub(super) const READINGS_MAX: usize = 2;
/// How long one waits for a place among them.
const READING_PATIENCE: Duration = Duration::from_secs(5);
/// How long a fold of the journal may take. A person waits for it.
pub(super) const FOLD_WITHIN: Duration = Duration::from_secs(10);

/// The places for work that takes long, and what is kept of it.
#[derive(Debug)]
pub(super) struct Work {
    backtests: Arc<Semaphore>,
    readings: Arc<Semaphore>,
    /// The last fold of the journal up to an event, from which one up to a later event goes on. One: people ask about
    /// one event several times, and about those behind it.
    folded: Mutex<Option<Arc<Folded>>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            backtests: Arc::new(Semaphore::new(BACKTESTS_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            folded: Mutex::default(),
        }
    }
}

impl Work {
    /// Does a backtest on a thread of its own, that stands back behind those of the engine.
    ///
    /// # Errors
    /// At once where one goes on already.
    pub(super) async fn backtest<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Budget) -> Result<T, ReplayError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy =
            |_| ApiError::Busy("a backtest goes on already, and there is one at a time: wait for its end".into());
        let place = Arc::clone(&self.backtests).try_acquire_owned().map_err(busy)?;
        let budget = Budget::of(BACKTEST_WITHIN, BACKTEST_RECORDS_MAX);
        let _called_off_when_nobody_waits = budget.call_off();
        let (send, done) = oneshot::channel();
        let thread = std::thread::Builder::new().name("backtest".into()).spawn(move || {
            // Threads that it starts inherit this. Where it is refused it is as fast as the others.
            rustix::process::nice(BACKTEST_NICE).ok();
            let answer = work(&budget);
            drop(place);
            // Nobody waits for it where they are gone.
            drop(send.send(answer));
        });
        thread.map_err(|error| ApiError::Failed(format!("no thread can be started for a backtest: {error}")))?;
        let answer = done.await.map_err(|_| ApiError::Failed("the backtest ended early".into()))?;
        Ok(answer?)
    }

    /// Reads the journal's file under a budget, with a fold up to any of its records at hand.
    pub(super) async fn fold<T: Send + 'static>(
        &self,
        handle: &Handle,
        read: impl FnOnce(&Reader, &mut Folding) -> Result<T, ReplayError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.reading().await?;
        let budget = Budget::of(FOLD_WITHIN, u64::MAX);
        let _called_off_when_nobody_waits = budget.call_off();
        let known = self.folded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let strict = handle.config().strict_ordering;
        let path = handle.journal_path().to_owned();
        let mut folding = Folding { path, strict, known, budget };
        let done = tokio::task::spawn_blocking(move || {
            let answer =
                Reader::open(&folding.path).map_err(ReplayError::from).and_then(|reader| read(&reader, &mut folding));
            drop(place);
            (answer, folding.known)
        });
        let (answer, folded) = done.await.map_err(|error| ApiError::Failed(format!("reading ended early: {error}")))?;
        *self.folded.lock().unwrap_or_else(PoisonError::into_inner) = folded;
        Ok(answer?)
    }

    /// Reads the whole journal, for as long as that takes and somebody waits for it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        handle: &Handle,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.reading().await?;
        let budget = Budget::unlimited();
        let _called_off_when_nobody_waits = budget.call_off();
        let path = handle.journal_path().to_owned();
        let done = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&path).and_then(|reader| reader.until(move || budget.is_called_off()));
            let answer = reader.and_then(|reader| read(&reader));
            drop(place);
            answer
        });
        Ok(done.await.map_err(|error| ApiError::Failed(format!("reading ended early: {error}")))??)
    }

    async fn reading(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = tokio::time::timeout(READING_PATIENCE, Arc::clone(&self.readings).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            ApiError::Busy(format!("the whole journal is read {READINGS_MAX} times already: wait a few seconds"))
        })
    }
}

/// A fold of the journal, where one is needed.
#[derive(Debug)]
pub(super) struct Folding {
    path: PathBuf,
    strict: bool,
    known: Option<Arc<Folded>>,
    budget: Budget,
}

impl Folding {
    /// The history just before the record `before`.
    pub(super) fn before(&mut self, reader: &Reader, before: u64) -> Result<History, ReplayError> {
        let folded = Folded::up_to(reader, before, self.strict, self.known.as_deref(), &self.budget)?;
        let history = folded.history.clone();
        // A fold of all there is would be of use to nobody who asks about an event that was decided.
        if before != u64::MAX {
            self.known = Some(Arc::new(folded));
        }
        Ok(history)
    }
}
