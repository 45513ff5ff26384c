//! What the admin interface works with: asking the engine and telling it what a person wants.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use super::command::Command;
use super::decider::InForce;
use super::reload::{self, RefusedReload, ReloadError, Reloaded};
use super::watcher::{Inputs, Seen};
use super::{Options, receiver};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::journal::Journal;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::record::{Record, RunEnd, RunId};
use crate::journal::store::StoreError;
use crate::report::Report;
use crate::report::logging::SharedRedactor;
use crate::runner::Runner;

/// Why something that a person wants was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be done as things stand.
    #[error("{0}")]
    Cannot(String),
    /// The engine stops.
    #[error("the engine is stopping")]
    Stopping,
}

pub(super) struct Shared {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) journal: Journal,
    pub(super) runner: Runner<Journal>,
    pub(super) report: Arc<Report>,
    pub(super) redactor: SharedRedactor,
    pub(super) receiver_settings: Arc<ArcSwap<receiver::Settings>>,
    pub(super) in_force: ArcSwap<InForce>,
    pub(super) config: ArcSwap<Config>,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    /// Marked as changed after each commit of the journal.
    pub(super) commits: watch::Receiver<()>,
    /// One reload at a time.
    pub(super) reloading: Mutex<()>,
    /// A reload that somebody asked for without waiting for it.
    pub(super) reload_wanted: Notify,
    pub(super) seen: ArcSwap<Seen>,
    pub(super) refused_reload: ArcSwapOption<RefusedReload>,
}

/// A handle to a running engine.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The config in force.
    pub fn config(&self) -> Arc<Config> {
        self.shared.config.load_full()
    }

    /// The last reload, if it was refused.
    pub fn refused_reload(&self) -> Option<Arc<RefusedReload>> {
        self.shared.refused_reload.load_full()
    }

    pub(super) fn seen(&self) -> Arc<Seen> {
        self.shared.seen.load_full()
    }

    /// The rules and settings in force.
    pub fn in_force(&self) -> Arc<InForce> {
        self.shared.in_force.load_full()
    }

    /// How the engine was started.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Logs and metrics.
    pub fn report(&self) -> &Report {
        &self.shared.report
    }

    /// The metrics as Prometheus reads them.
    pub fn metrics_text(&self, paused: bool) -> String {
        self.shared.report.metrics_text(self.shared.journal.path(), paused)
    }

    /// Is marked as changed after each commit of the journal: whoever follows it reads on then, at their own pace.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.shared.commits.clone()
    }

    /// The journal's file.
    pub fn journal_path(&self) -> &Path {
        self.shared.journal.path()
    }

    /// Why nothing can be written any more, if so.
    pub fn journal_closed(&self) -> Option<String> {
        self.shared.journal.closed_now()
    }

    /// The redactor that everything shown passes.
    pub fn redactor(&self) -> SharedRedactor {
        Arc::clone(&self.shared.redactor)
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    pub(super) fn runner(&self) -> &Runner<Journal> {
        &self.shared.runner
    }

    pub(super) async fn tell(&self, command: Command) {
        // A task that ended needs no more commands.
        self.shared.commands.send(command).await.ok();
    }

    /// Looks at the history and what is in force, between two rounds of deciding.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&History, &InForce, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |history: &History, in_force: &InForce, now| {
            reply.send(look(history, in_force, now)).ok();
        });
        self.tell(Command::Inspect(look)).await;
        answer.await.map_err(|_| Refusal::Stopping)
    }

    /// Reads the journal's file on a thread of its own.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.shared.journal.path().to_owned();
        let done = tokio::task::spawn_blocking(move || Reader::open(&path).and_then(|reader| read(&reader))).await;
        done.unwrap_or_else(|error| {
            Err(StoreError::Damaged {
                path: self.shared.journal.path().to_owned(),
                what: format!("reading it ended early: {error}"),
            })
        })
    }

    async fn ask(&self, command: impl FnOnce(super::command::Reply) -> Command) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await;
        answer.await.map_err(|_| Refusal::Stopping)?.map_err(Refusal::Cannot)
    }

    /// Lets nothing new start. With `now`, also ends what runs.
    pub async fn pause(&self, reason: Option<String>, lasts: Option<Duration>, now: bool) -> Result<(), Refusal> {
        let until = lasts.map(|lasts| self.now().plus(lasts));
        self.ask(|reply| Command::Note { record: Record::Paused { reason, until }, reply }).await?;
        if now {
            for run in self.runner().active() {
                self.runner().cancel(&run.run, "the engine was paused with --now");
            }
        }
        Ok(())
    }

    /// Lets runs start again.
    pub async fn resume(&self) -> Result<(), Refusal> {
        self.ask(|reply| Command::Note { record: Record::Resumed, reply }).await
    }

    /// Calls off a run that waits or acts.
    pub async fn cancel(&self, run: RunId, by: &str) -> Result<(), Refusal> {
        let reason = format!("cancelled by {by}");
        if self.runner().cancel(&run, &reason) {
            return Ok(());
        }
        self.ask(|reply| Command::EndWaiting { run, end: RunEnd::Cancelled, reason, reply }).await
    }

    /// Allows a run that waits for approval.
    pub async fn approve(&self, run: RunId, by: String) -> Result<(), Refusal> {
        self.ask(|reply| Command::Approve { run, by, reply }).await
    }

    /// Refuses a run that waits for approval.
    pub async fn deny(&self, run: RunId, by: &str) -> Result<(), Refusal> {
        let reason = format!("denied by {by}");
        self.ask(|reply| Command::EndWaiting { run, end: RunEnd::Denied, reason, reply }).await
    }

    /// Reads config, rules, scripts and secrets again and puts them into force, all or nothing. Without `force`, a
    /// set that lost more than half of its rules is refused.
    pub async fn reload(&self, force: bool) -> Result<Reloaded, ReloadError> {
        let _one_at_a_time = self.shared.reloading.lock().await;
        self.reload_alone(force).await
    }

    async fn reload_alone(&self, force: bool) -> Result<Reloaded, ReloadError> {
        let reloaded = reload::reload(self, force).await;
        let refused = reloaded.as_ref().err().map(|error| {
            self.shared.report.metrics.reload_failures.inc();
            tracing::error!(%error, "reload refused; the rules in force stay");
            Arc::new(RefusedReload { at: self.now(), reason: error.to_string() })
        });
        self.shared.refused_reload.store(refused);
        reloaded
    }

    /// Reloads if what lies on disk is no longer what was read last.
    pub(super) async fn reload_if_changed(&self) {
        let _one_at_a_time = self.shared.reloading.lock().await;
        let seen = self.seen();
        let config = Arc::clone(&seen.config);
        let now = tokio::task::spawn_blocking(move || Inputs::look(&config).fingerprint()).await;
        if now.is_ok_and(|now| now != seen.fingerprint) {
            tracing::info!("config, rules, scripts or secrets changed on disk");
            // What is wrong with the new set is logged; the old one goes on.
            self.reload_alone(false).await.ok();
        }
    }

    /// Asks for a reload and does not wait for it. Those asked for while one is under way become one.
    pub fn ask_to_reload(&self) {
        self.shared.reload_wanted.notify_one();
    }

    pub(super) async fn asked_to_reload(&self) {
        self.shared.reload_wanted.notified().await;
    }

    pub(super) async fn put_in_force(&self, in_force: InForce) -> Result<(), Refusal> {
        self.ask(|reply| Command::PutInForce { in_force, reply }).await
    }
}
