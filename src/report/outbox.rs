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

mod room;
mod send;
mod verdict;

pub use room::{Full, Room};
pub use verdict::verdict;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::journal::RecordSink;
use crate::journal::history::Waiting;
use crate::report::Report;
use crate::report::flashduty::Client;
use crate::report::logging::SharedRedactor;
use send::{Halt, Sender};

/// Incidents that are written to at a time. More would use up the vendor's limit with one burst.
const AT_A_TIME_MAX: usize = 4;

/// The client in force, which a reload exchanges; none where the config has no `flashduty` section.
pub type SharedClient = Arc<ArcSwapOption<Client>>;

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

#[cfg(test)]
mod tests;
