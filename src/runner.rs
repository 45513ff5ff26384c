//! Runs: takes intents whose record is durable, and walks their steps to an end that is durable too.
//!
//! # Theory of operation
//!
//! Each run is a task. It records that a step is about to start, does it, records what came of it, and at last how the
//! run ended; only when that last record is durable is the run over. What the steps may do was decided before.
//! The runner decides nothing but whether to go on: the first failure ends the steps, `verify` tells whether what they
//! did helped, and `on_success` or `on_failure` follow.
//!
//! A crash at any point leaves an intent without an end, which recovery makes `interrupted`. As soon as the journal
//! refuses a record nothing further is done, in any run: what cannot be recorded must not happen.

mod each;
mod follow_up;
mod intent;
pub(crate) mod name;
mod now;
mod observer;
mod recheck;
mod report;
mod results;
mod retry;
mod tries;
mod verify;
mod walk;
mod write_back;

pub use intent::{Intent, Planner, Resumed};
pub use now::StepNow;
pub use observer::{Observer, Unobserved};

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::watch;

use crate::action::{Actor, Settings, SetupError, StopReason, Stopper, process};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::journal::record::{Record, RunEnd, RunId};
use crate::journal::{RecordSink, Refused};
use crate::report::outbox::Room;
use crate::rule::RuleId;
use now::Now;
use walk::{Walk, Walked};

/// How often orphaned descendants that died on their own are taken away. They cost an entry in the process table.
const SWEEP: Duration = Duration::from_secs(30);
/// How long runs that were told to end may take for it: ending a tree that resists takes about two seconds.
const ENDING_MAX: Duration = Duration::from_secs(10);

/// What the runner works with.
pub struct Wiring<S> {
    /// Where records go.
    pub sink: S,
    /// Renders what could not be rendered before.
    pub planner: Arc<dyn Planner>,
    /// The time, for conditions and for the delay from event to action.
    pub clock: Arc<dyn Clock>,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
    /// The places in the outbox for what is to be written back.
    pub room: Room,
    /// The settings at first.
    pub settings: Settings,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRun {
    /// Its id.
    pub run: RunId,
    /// Its rule.
    pub rule: RuleId,
    /// What it acts on.
    pub target: String,
    /// Since when.
    pub since: Timestamp,
}

/// Why a run was not started. Its intent is durable, so whoever gets this has to see to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// The daemon stops, or the journal takes no more.
    #[error("nothing new is started: the runner is stopping")]
    Stopping,
    /// The same run goes on already.
    #[error("the run goes on already")]
    AlreadyActive,
}

/// Runs intents. Clones are the same runner.
pub struct Runner<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Runner<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> fmt::Debug for Runner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("load", &*self.shared.load.borrow()).finish_non_exhaustive()
    }
}

struct Shared<S> {
    sink: S,
    planner: Arc<dyn Planner>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    room: Room,
    settings: ArcSwap<Settings>,
    actor: Actor,
    active: DashMap<RunId, Active>,
    load: watch::Sender<Load>,
}

/// A run that goes on, and how to reach it.
struct Active {
    run: ActiveRun,
    stopper: Stopper,
    now: Arc<Now>,
}

/// How many runs go on, and whether further ones may start. In one place, so that no run slips in after the last.
#[derive(Debug, Default)]
struct Load {
    active: usize,
    stopping: bool,
}

impl<S: RecordSink> Runner<S> {
    /// A runner. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When processes or HTTP requests cannot be made ready for.
    pub fn new(wiring: Wiring<S>) -> Result<Self, SetupError> {
        let shared = Arc::new(Shared {
            sink: wiring.sink,
            planner: wiring.planner,
            clock: wiring.clock,
            observer: wiring.observer,
            room: wiring.room,
            settings: ArcSwap::from_pointee(wiring.settings),
            actor: Actor::new()?,
            active: DashMap::new(),
            load: watch::Sender::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&shared)));
        Ok(Self { shared })
    }

    /// Puts other settings in force, from the next step of every run on.
    pub fn reconfigure(&self, settings: Settings) {
        self.shared.settings.store(Arc::new(settings));
    }

    /// Starts a run whose `run-intended` record is durable.
    ///
    /// # Errors
    /// When it cannot be started now; nothing was done then, and no record written.
    pub fn start(&self, intent: Intent) -> Result<(), NotStarted> {
        let shared = &self.shared;
        let (stopper, stop) = Stopper::new();
        let now = Arc::new(Now::default());
        let active = ActiveRun {
            run: intent.run.clone(),
            rule: intent.rule.id.clone(),
            target: intent.plan.target.clone(),
            since: shared.clock.now(),
        };
        {
            let dashmap::Entry::Vacant(place) = shared.active.entry(intent.run.clone()) else {
                return Err(NotStarted::AlreadyActive);
            };
            let may_start = shared.load.send_if_modified(|load| {
                load.active += usize::from(!load.stopping);
                !load.stopping
            });
            if !may_start {
                return Err(NotStarted::Stopping);
            }
            place.insert(Active { run: active, stopper, now: Arc::clone(&now) });
        }
        shared.observer.run_started(&intent.rule.id);
        let intent = Arc::new(intent);
        let watch = Stopwatch::start();
        let walking = tokio::spawn(Walk::new(Arc::clone(shared), Arc::clone(&intent), stop, now).walk());
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let walked = match walking.await {
                Ok(walked) => walked,
                // A panic in a step must not leave its run without an end, nor its processes.
                Err(error) => {
                    let cgroups = shared.settings.load().isolation.cgroups.clone();
                    let (found, left) =
                        process::end_leftovers(&intent.run, process::StartTime::MAX, cgroups.as_deref()).await;
                    tracing::error!(run = %intent.run, %error, found, left, "a run failed inside the engine");
                    Ok(Walked::failed_inside())
                }
            };
            shared.finish(&intent, walked, watch).await;
        });
        Ok(())
    }

    /// Calls a run off: its processes are ended and it ends as `cancelled`. False where no such run goes on, or it
    /// is being ended already.
    pub fn cancel(&self, run: &RunId, why: &str) -> bool {
        self.shared.active.get(run).is_some_and(|entry| entry.stopper.stop(StopReason::Cancelled(why.to_owned())))
    }

    /// The runs that go on, the oldest first.
    pub fn active(&self) -> Vec<ActiveRun> {
        let mut active: Vec<_> = self.shared.active.iter().map(|entry| entry.run.clone()).collect();
        active.sort_unstable_by(|a, b| (a.since, &a.run).cmp(&(b.since, &b.run)));
        active
    }

    /// The steps that a run is in at this moment, with the end of what they have printed so far.
    pub fn now(&self, run: &RunId) -> Vec<StepNow> {
        let now = self.shared.active.get(run).map(|entry| Arc::clone(&entry.now));
        now.map(|now| now.steps()).unwrap_or_default()
    }

    /// How many bytes the steps that a run is in have printed so far.
    pub fn printed_bytes(&self, run: &RunId) -> u64 {
        self.shared.active.get(run).map_or(0, |entry| entry.now.printed_bytes())
    }

    /// How many runs go on.
    pub fn active_len(&self) -> usize {
        self.shared.load.borrow().active
    }

    /// Starts nothing new, waits up to `grace` or until `at_once` resolves for what goes on, then ends it as
    /// `interrupted`. Resolves when all is recorded, or after a further ten seconds; says how many runs are left without
    /// an end then.
    pub async fn drain(&self, grace: Duration, at_once: impl Future<Output = ()>) -> usize {
        self.shared.load.send_modify(|load| load.stopping = true);
        let is_idle = tokio::select! {
            is_idle = self.idle_within(grace) => is_idle,
            () = at_once => self.active_len() == 0,
        };
        if !is_idle {
            self.shared.stop_all();
            self.idle_within(ENDING_MAX).await;
        }
        if self.active_len() == 0 {
            self.shared.actor.close(&self.shared.settings.load_full()).await;
        }
        self.active_len()
    }

    async fn idle_within(&self, limit: Duration) -> bool {
        let mut load = self.shared.load.subscribe();
        tokio::time::timeout(limit, load.wait_for(|load| load.active == 0)).await.is_ok()
    }
}

impl<S> Shared<S> {
    fn stop_all(&self) {
        for entry in &self.active {
            entry.stopper.stop(StopReason::ShuttingDown);
        }
    }

    /// What cannot be recorded must not happen: ends everything.
    fn halt(&self, run: &RunId, why: &Refused) {
        tracing::error!(%run, error = %why, "the journal refused a record: all runs are ended");
        self.load.send_modify(|load| load.stopping = true);
        self.stop_all();
        self.observer.refused(run, why);
    }
}

impl<S: RecordSink> Shared<S> {
    async fn finish(&self, intent: &Intent, walked: Result<Walked, Refused>, watch: Stopwatch) {
        let took = watch.elapsed();
        let recorded = match walked {
            Err(refused) => Err(refused),
            Ok(walked) => {
                let Walked { end, error, acted, objected, did } = walked;
                let error = error.map(|error| self.settings.load().redactor.redact(&error).into_owned());
                let duration_ms = watch.elapsed_ms();
                // In one transaction: a run is reported once, also where the daemon dies here.
                let report = self.report(intent, end, error.as_deref(), &did, duration_ms).filter(|_| acted);
                let record = Record::RunEnded {
                    run: intent.run.clone(),
                    rule: intent.rule.id.clone(),
                    target: intent.plan.target.clone(),
                    end,
                    acted,
                    keeps_slot: acted || end == RunEnd::Cancelled && !objected,
                    error,
                    duration_ms,
                };
                self.sink.append([Some(record), report].into_iter().flatten().collect()).await.map(|()| end)
            }
        };
        self.active.remove(&intent.run);
        match recorded {
            Ok(end) => self.observer.run_ended(&intent.run, &intent.rule.id, end, took),
            Err(refused) => self.halt(&intent.run, &refused),
        }
        self.load.send_modify(|load| load.active = load.active.saturating_sub(1));
    }
}

/// Takes away the zombies of orphaned descendants, as long as the runner is there.
async fn sweep<S: Send + Sync + 'static>(runner: Weak<Shared<S>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if runner.strong_count() == 0 {
            return;
        }
        if let Err(error) = tokio::task::spawn_blocking(process::reap_adopted).await {
            tracing::error!(%error, "looking for dead orphans failed");
        }
    }
}

#[cfg(test)]
mod tests;
