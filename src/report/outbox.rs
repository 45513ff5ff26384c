//! The outbox: writes back to Flashduty what the journal says is to be written back.
//!
//! # Theory of operation
//!
//! A write-back is queued by its record, often in the transaction of what it reports. From then on it survives a crash,
//! and whoever asked for it has gone on. One task sends: for each incident in the order of the journal, for several
//! incidents at a time. It records that a try begins before it begins, and what came of it before anything follows; so
//! after a crash it is known which calls are in doubt. A comment in doubt is never sent again, since nothing would keep
//! it from standing there twice; what may be repeated is.
//!
//! The outbox decides nothing, delays no run, and says nothing that was not queued.

mod verdict;

pub use verdict::verdict;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::journal::history::{WRITE_BACKS_MAX, Waiting};
use crate::journal::record::{Record, WriteBackOutcome};
use crate::journal::{RecordSink, Refused};
use crate::report::Report;
use crate::report::flashduty::{self, Client};
use crate::report::logging::SharedRedactor;

/// Incidents that are written to at a time. More would use up the vendor's limit with one burst.
const AT_A_TIME_MAX: usize = 4;
/// The longest wait between two attempts to reach Flashduty.
const UNREACHED_WAIT_MAX: Duration = Duration::from_secs(60);

/// The client in force, which a reload exchanges; none where the config has no `flashduty` section.
pub type SharedClient = Arc<ArcSwapOption<Client>>;

/// Places for write-backs that wait. Clones are the same places.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the outbox is full: {WRITE_BACKS_MAX} write-backs wait for Flashduty, so this one was not queued; \
     is `flashduty.api` of the config reachable?"
)]
pub struct Full;

impl Room {
    /// Room beside the `taken` write-backs that wait already.
    pub fn beside(taken: usize) -> Self {
        Self(Arc::new(Semaphore::new(WRITE_BACKS_MAX.saturating_sub(taken))))
    }

    /// Takes places, all or none, until their write-backs are over.
    ///
    /// # Errors
    /// Where there are not so many.
    pub fn take(&self, count: usize) -> Result<(), Full> {
        let count = u32::try_from(count).map_err(|_| Full)?;
        self.0.try_acquire_many(count).map(tokio::sync::SemaphorePermit::forget).map_err(|_| Full)
    }

    fn give_back(&self) {
        self.0.add_permits(1);
    }
}

/// What the outbox works with.
pub struct Wiring<S> {
    /// Where records go.
    pub sink: S,
    /// The client in force.
    pub client: SharedClient,
    /// The places that it gives back.
    pub room: Room,
    /// The time, for what is too old.
    pub clock: Arc<dyn Clock>,
    /// Counts and logs.
    pub report: Arc<Report>,
    /// Takes secrets out of what the vendor says.
    pub redactor: SharedRedactor,
    /// Sends only what dry-runs say: the daemon was started with `--dry-run`.
    pub only_dry_runs: bool,
}

/// A running outbox.
pub struct Outbox {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Outbox {
    /// Starts sending: what `waiting` holds from before, then what comes by the channel, whose records are durable.
    pub fn start<S: RecordSink>(
        wiring: Wiring<S>,
        waiting: Vec<Waiting>,
        queued: mpsc::UnboundedReceiver<Waiting>,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let sender = Arc::new(Sender { wiring, stopping });
        let mut lanes = Lanes { sender, waiting: HashMap::new(), turns: VecDeque::new(), sending: JoinSet::new() };
        waiting.into_iter().for_each(|one| lanes.add(one));
        Self { task: tokio::spawn(lanes.run(queued)), stop }
    }

    /// Sends nothing new, and waits until what was asked is answered and recorded. What waits goes out after the next
    /// start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, task = "outbox", "a task died");
        }
    }
}

/// One lane an incident, so that what was asked first is done first.
struct Lanes<S> {
    sender: Arc<Sender<S>>,
    /// What waits, by incident. An incident whose lane is empty is not here.
    waiting: HashMap<Arc<str>, VecDeque<Waiting>>,
    /// Incidents that nothing is being sent to, in the order in which they came to have something.
    turns: VecDeque<Arc<str>>,
    sending: JoinSet<(Arc<str>, Result<(), Halt>)>,
}

/// Why the outbox sends nothing further.
enum Halt {
    Stopping,
    Refused(Refused),
}

impl<S: RecordSink> Lanes<S> {
    async fn run(mut self, mut queued: mpsc::UnboundedReceiver<Waiting>) {
        let mut stopping = self.sender.stopping.clone();
        loop {
            self.send_on();
            tokio::select! {
                biased;
                // The engine says so, or is gone.
                _ = stopping.wait_for(|stop| *stop) => break,
                Some(sent) = self.sending.join_next() => if self.sent(sent).is_err() { break },
                Some(one) = queued.recv() => self.add(one),
                else => break,
            }
        }
        // What was asked of Flashduty has to be recorded; every call ends by itself.
        while self.sending.join_next().await.is_some() {}
    }

    fn add(&mut self, one: Waiting) {
        if self.sender.wiring.only_dry_runs && one.write_back.run.is_some() {
            // It stays in the journal, and goes out when the daemon runs without `--dry-run` again.
            return;
        }
        let incident = Arc::clone(&one.write_back.incident);
        let lane = self.waiting.entry(Arc::clone(&incident)).or_insert_with(|| {
            self.turns.push_back(incident);
            VecDeque::new()
        });
        lane.push_back(one);
        self.sender.wiring.report.metrics.writeback_waiting.inc();
    }

    fn send_on(&mut self) {
        while self.sending.len() < AT_A_TIME_MAX
            && let Some(incident) = self.turns.pop_front()
        {
            let Some(one) = self.waiting.get(&incident).and_then(VecDeque::front).cloned() else { continue };
            let sender = Arc::clone(&self.sender);
            self.sending.spawn(async move { (incident, sender.send(one).await) });
        }
    }

    fn sent(&mut self, sent: Result<(Arc<str>, Result<(), Halt>), tokio::task::JoinError>) -> Result<(), ()> {
        let (incident, result) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                tracing::error!(%error, "the outbox stops, because sending failed inside the engine");
                return Err(());
            }
        };
        match result {
            Ok(()) => {}
            Err(Halt::Stopping) => return Err(()),
            Err(Halt::Refused(error)) => {
                tracing::error!(%error, "the outbox stops, because the journal refused a record");
                return Err(());
            }
        }
        if let Some(lane) = self.waiting.get_mut(&incident) {
            lane.pop_front();
            if lane.is_empty() {
                self.waiting.remove(&incident);
            } else {
                // Behind the others: a talkative incident does not hold them up.
                self.turns.push_back(incident);
            }
        }
        self.sender.wiring.room.give_back();
        self.sender.wiring.report.metrics.writeback_waiting.dec();
        Ok(())
    }
}

struct Sender<S> {
    wiring: Wiring<S>,
    stopping: watch::Receiver<bool>,
}

/// What a try led to, for its record.
struct Tried {
    outcome: WriteBackOutcome,
    request_id: Option<String>,
    error: Option<String>,
}

impl Tried {
    fn gave_up(error: impl Into<String>) -> Self {
        Self { outcome: WriteBackOutcome::Failed, request_id: None, error: Some(error.into()) }
    }
}

impl<S: RecordSink> Sender<S> {
    /// Sends one write-back to its end, or until the engine stops.
    async fn send(&self, mut one: Waiting) -> Result<(), Halt> {
        let mut unreached = 0;
        loop {
            let tried = match self.may_not_be_sent(&one) {
                Some(tried) => tried,
                None => self.once(&one).await?,
            };
            let outcome = tried.outcome;
            self.record(&one, tried).await?;
            let pause = match outcome {
                WriteBackOutcome::Sent | WriteBackOutcome::Failed | WriteBackOutcome::Unknown => return Ok(()),
                WriteBackOutcome::Again => {
                    one.tries += 1;
                    flashduty::backoff(one.tries)
                }
                WriteBackOutcome::Unreached => {
                    unreached += 1;
                    flashduty::backoff(unreached).min(UNREACHED_WAIT_MAX)
                }
            };
            one.in_doubt = false;
            tokio::select! {
                biased;
                () = self.until_stop() => return Err(Halt::Stopping),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Why it is over without being sent, if it is.
    fn may_not_be_sent(&self, one: &Waiting) -> Option<Tried> {
        let call = &one.write_back.call;
        if one.in_doubt && !call.is_repeatable() {
            let why = "the daemon died after it was sent and before it was answered; a comment cannot be told from \
                       its repetition, so it is not sent again";
            return Some(Tried { outcome: WriteBackOutcome::Unknown, request_id: None, error: Some(why.into()) });
        }
        if self.wiring.clock.now() >= one.expires() {
            let lasts = crate::rule::duration::show(call.lasts());
            return Some(Tried::gave_up(format!("it waited for {lasts}, after which it is not sent any more")));
        }
        self.wiring.client.load().is_none().then(|| Tried::gave_up("the config has no `flashduty` section any more"))
    }

    async fn once(&self, one: &Waiting) -> Result<Tried, Halt> {
        if *self.stopping.borrow() {
            return Err(Halt::Stopping);
        }
        let Some(client) = self.wiring.client.load_full() else {
            return Ok(Tried::gave_up("the config has no `flashduty` section any more"));
        };
        let write_back = &one.write_back;
        let started = Record::WriteBackStarted {
            id: write_back.id.clone(),
            run: write_back.run.clone(),
            event: write_back.event.clone(),
            attempt: one.tries + 1,
        };
        self.wiring.sink.append(vec![started]).await.map_err(Halt::Refused)?;
        Ok(match client.write(&write_back.incident, &write_back.call).await {
            Ok(answer) => Tried { outcome: WriteBackOutcome::Sent, request_id: answer.request_id, error: None },
            Err(error) => Tried {
                outcome: verdict(&write_back.call, &error, one.tries + 1),
                request_id: error.request_id().map(str::to_owned),
                error: Some(error.to_string()),
            },
        })
    }

    async fn record(&self, one: &Waiting, tried: Tried) -> Result<(), Halt> {
        let Tried { outcome, request_id, error } = tried;
        let redactor = self.wiring.redactor.load();
        let error = error.map(|error| redactor.redact(&error).into_owned());
        let write_back = &one.write_back;
        self.wiring.report.written_back(write_back, outcome, error.as_deref());
        let record = Record::WrittenBack {
            id: write_back.id.clone(),
            run: write_back.run.clone(),
            event: write_back.event.clone(),
            attempt: one.tries + 1,
            outcome,
            request_id,
            error,
        };
        self.wiring.sink.append(vec![record]).await.map_err(Halt::Refused)
    }

    async fn until_stop(&self) {
        // An engine that is gone has stopped.
        self.stopping.clone().wait_for(|stop| *stop).await.ok();
    }
}

#[cfg(test)]
mod tests;
