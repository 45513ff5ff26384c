//! What the admin interface works with: asking the engine and telling it what a person wants.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use super::catch_up::{self, CatchUpError, CaughtUp};
use super::command::{Again, Command};
use super::decider::InForce;
use super::reload::{self, RefusedReload, ReloadError, Reloaded};
use super::watcher::{Inputs, Seen};
use super::{Options, receiver};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::decide::rerun::RERUNS_MAX;
use crate::journal::history::{History, Pause, Run};
use crate::journal::read::Reader;
use crate::journal::record::{PauseScope, RunEnd, RunId};
use crate::journal::store::StoreError;
use crate::journal::{Journal, Unwritten};
use crate::report::Report;
use crate::report::flashduty::Pace;
use crate::report::logging::SharedRedactor;
use crate::report::outbox::SharedClient;
use crate::runner::{Runner, StepNow};

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
    /// One rerun at a time.
    pub(super) rerunning: Mutex<()>,
    /// The client of Flashduty in force.
    pub(super) client: SharedClient,
    /// What all its clients go by.
    pub(super) pace: Arc<Pace>,
    /// One catch-up at a time.
    pub(super) catching_up: Mutex<()>,
    /// A reload that somebody asked for without waiting for it.
    pub(super) reload_wanted: Notify,
    pub(super) seen: ArcSwap<Seen>,
    pub(super) refused_reload: ArcSwapOption<RefusedReload>,
    /// Names traces, where they are sent.
    pub(super) trace_ids: Option<Arc<crate::report::traces::TraceIds>>,
    /// Where they are sent.
    #[cfg(feature = "otlp")]
    pub(super) trace_target: Option<crate::report::traces::SharedTarget>,
}

/// What was done, with the reason that a person gave for it.
fn because(done: String, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("{done}: {why}"),
        None => done,
    }
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

    /// The metrics as Prometheus reads them; `paused` is the whole engine, `pauses` counts all that is paused.
    pub fn metrics_text(&self, paused: bool, pauses: usize) -> String {
        self.shared.report.metrics_text(self.shared.journal.path(), paused, pauses)
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

    /// Why pushes are refused at present, if the journal's disk was found full or read-only.
    pub fn journal_unwritten(&self) -> Option<Unwritten> {
        self.shared.journal.unwritten()
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

    /// The steps that a run is in at this moment, with the end of what they have printed so far.
    pub fn now_in(&self, run: &RunId) -> Vec<StepNow> {
        self.runner().now(run)
    }

    /// How many bytes the steps that a run is in have printed so far.
    pub fn printed_bytes(&self, run: &RunId) -> u64 {
        self.runner().printed_bytes(run)
    }

    async fn ask(&self, command: impl FnOnce(super::command::Reply) -> Command) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await;
        answer.await.map_err(|_| Refusal::Stopping)?.map_err(Refusal::Cannot)
    }

    /// Lets nothing new of a scope start. With `now`, also ends what runs of it.
    ///
    /// # Errors
    /// When there is no such rule, or too much is paused already.
    pub async fn pause(&self, pause: Pause, now: bool) -> Result<(), Refusal> {
        let scope = pause.scope.clone();
        self.ask(|reply| Command::Pause { pause, reply }).await?;
        if now {
            // Whatever was decided upon before the pause has been handed to the runner by now.
            let runs = self.inspect({
                let scope = scope.clone();
                move |history, _, _| -> Vec<RunId> {
                    let is_covered = |run: &Run| scope.covers(&run.rule, run.channel, run.channel_name.as_deref());
                    history
                        .runs
                        .iter()
                        .filter(|(_, run)| !run.is_waiting() && is_covered(run))
                        .map(|(id, _)| id.clone())
                        .collect()
                }
            });
            for run in runs.await? {
                self.runner().cancel(&run, &format!("because {scope} was paused with --now"));
            }
        }
        Ok(())
    }

    /// Lets runs of a scope start again.
    ///
    /// # Errors
    /// When that rule or channel is not paused.
    pub async fn resume(&self, scope: PauseScope, by: String) -> Result<(), Refusal> {
        self.ask(|reply| Command::Resume { scope, by, reply }).await
    }

    /// Calls off a run that waits or acts.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn cancel(&self, run: RunId, by: &str, why: Option<&str>) -> Result<(), Refusal> {
        // That it was cancelled is what the run's end says of its own accord.
        if self.runner().cancel(&run, &because(format!("by {by}"), why)) {
            return Ok(());
        }
        let reason = because(format!("cancelled by {by}"), why);
        self.ask(|reply| Command::EndWaiting { run, end: RunEnd::Cancelled, reason, reply }).await
    }

    /// Allows a run that waits for approval.
    ///
    /// # Errors
    /// When it does not wait for approval, or not any more.
    pub async fn approve(&self, run: RunId, by: String, reason: Option<String>) -> Result<(), Refusal> {
        self.ask(|reply| Command::Approve { run, by, reason, reply }).await
    }

    /// Refuses a run that waits for approval.
    ///
    /// # Errors
    /// When it does not wait for approval, or not any more.
    pub async fn deny(&self, run: RunId, by: &str, why: Option<&str>) -> Result<(), Refusal> {
        let reason = because(format!("denied by {by}"), why);
        self.ask(|reply| Command::EndWaiting { run, end: RunEnd::Denied, reason, reply }).await
    }

    /// Has a run that ended done again, as a new run, whose id is given back. It is decided upon afresh.
    ///
    /// # Errors
    /// Why it is not done again.
    pub async fn rerun(&self, of: RunId, by: String, reason: Option<String>) -> Result<RunId, Refusal> {
        // Two that come at once must not choose the same id.
        let _one_at_a_time = self.shared.rerunning.lock().await;
        let is_live = self.inspect({
            let of = of.clone();
            move |history, _, _| history.runs.get(&of).is_some()
        });
        if is_live.await? {
            return Err(Refusal::Cannot(format!("run {of} has not ended yet")));
        }
        let found = self.read({
            let of = of.clone();
            move |reader| {
                let Some(origin) = reader.origin_of(of.as_str())? else { return Ok(None) };
                for nth in 1..=RERUNS_MAX {
                    let run = RunId::derive(&origin.event, &origin.rule, nth);
                    if reader.about_run(run.as_str())?.is_empty() {
                        return Ok(Some((origin, Some(run))));
                    }
                }
                Ok(Some((origin, None)))
            }
        });
        let found = found.await.map_err(|error| Refusal::Cannot(error.to_string()))?;
        let (origin, run) = found.ok_or_else(|| Refusal::Cannot(format!("there is no run {of} to do again")))?;
        let run = run.ok_or_else(|| {
            Refusal::Cannot(format!("what run {of} does was done again {RERUNS_MAX} times already, which is the limit"))
        })?;
        let again = Again { run: run.clone(), of, rule: origin.rule, seq: origin.seq, by, reason };
        self.ask(|reply| Command::Rerun { again, reply }).await?;
        Ok(run)
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

    /// Asks Flashduty for incidents that were opened since `since` and not pushed, and takes them in.
    ///
    /// # Errors
    /// Where the config has no `flashduty` section, `since` is too long ago, or Flashduty or the journal cannot be asked.
    pub async fn catch_up(&self, since: Duration) -> Result<CaughtUp, CatchUpError> {
        catch_up::catch_up(self, self.now().minus(since)).await
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
