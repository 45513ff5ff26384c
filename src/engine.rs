//! The wiring: queues, tasks, recovery, reload, shutdown. Holds no logic that could be pure.
//!
//! # Theory of operation
//!
//! [`Engine::start`] opens and folds the journal, ends what a crash left running, and starts its tasks: the
//! receiver, which offers pushes to the journal; the decider, the only one that folds and decides; the runner,
//! which does what was decided; the outbox, which writes back; a janitor, which lets old records go; and a watcher, which
//! has changes on disk come into force. Beside them a task asks Flashduty once for what was missed. All of them talk
//! through the journal, in
//! one direction. [`Engine::stop`] takes them down in the same direction, so that what was accepted is decided or
//! still there at the next start.

mod catch_up;
pub mod command;
mod commanded;
pub mod decider;
mod error;
mod fault;
mod flashduty;
mod handle;
mod hiding;
mod past;
mod periodic;
mod planner;
mod recovery;
mod reload;
mod setup;
pub(crate) mod watcher;

pub use catch_up::{CatchUpError, CaughtUp, SINCE_MAX};
pub use error::{Failure, StartError};
pub use handle::{Handle, Refusal};
pub use past::{event_of, load_event, recall};
pub use reload::{RefusedReload, ReloadError, Reloaded};
pub use setup::{Options, redactor_as_far_as_readable, settings};
pub use watcher::{Fingerprint, Inputs, Stamp};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::{Journal, RecordSink, Recovered};
use crate::receiver;
use crate::report::Report;
use crate::report::flashduty::Pace;
use crate::report::outbox::{self, Outbox, Room, SharedClient};
use crate::report::traces::{self, TraceIds};
use crate::rule::RuleSet;
use crate::runner::{Runner, Wiring};
use command::Command;
use decider::{Decider, EngineError, InForce};
use flashduty::Outgoing;
use setup::{action_settings, receiver_settings, redactor_for};

/// How many commands may wait for the deciding task.
const COMMANDS_MAX: usize = 256;

/// How often the janitor looks for records to let go.
const RETAIN_EVERY: Duration = Duration::from_secs(600);

/// A running engine.
pub struct Engine {
    handle: Handle,
    webhook: SocketAddr,
    stop_receiver: watch::Sender<bool>,
    receiver: JoinHandle<()>,
    /// Until its end was seen.
    decider: Option<JoinHandle<Result<History, EngineError>>>,
    outbox: Outbox,
    janitor: JoinHandle<()>,
    catching_up: JoinHandle<()>,
    watcher: JoinHandle<()>,
    #[cfg(feature = "otlp")]
    exporter: Option<traces::Exporter>,
    writer: std::thread::JoinHandle<()>,
    /// Whether the deciding task ended by a panic.
    died: bool,
}

impl Engine {
    /// Starts everything. `rules` is the first rule set.
    pub async fn start(config: Config, rules: RuleSet, options: Options) -> Result<Self, StartError> {
        let report = Arc::new(Report::new());
        let redactor = Arc::clone(&options.redactor);
        redactor.store(Arc::new(redactor_for(&config)?));
        let receiver_settings = receiver_settings(&config, &options).map_err(StartError::Receiver)?;
        let fingerprint = options.read_from.unwrap_or_else(|| Inputs::look(&config).fingerprint());
        let seen = watcher::Seen { config: Arc::new(config.clone()), fingerprint };

        let trace_ids = config
            .traces
            .as_ref()
            .map(|wanted| Arc::new(TraceIds::new(&traces::installation(&config.data), wanted.sample)));
        #[cfg(feature = "otlp")]
        let trace_target = match &config.traces {
            Some(wanted) => Some(Arc::new(ArcSwap::from_pointee(traces::Target::of(wanted)?))),
            None => None,
        };

        let recovered = Recovered::open_telling(&config.data, config.strict_ordering, options.working)?;
        // What came after the last record was missed; at a first start nothing was.
        let missed_since = Some(recovered.history.last_at()).filter(|_| recovered.history.last_seq() > 0);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::starting_at(recovered.history.last_at()));
        let (committed, commits) = watch::channel(());
        let on_commit = {
            let report = Arc::clone(&report);
            move |commit| {
                report.committed(commit);
                committed.send_replace(());
            }
        };
        #[cfg(feature = "otlp")]
        let untold = recovered.history.last_seq() + 1;
        let (mut history, opened) = recovered.start(Arc::clone(&clock), on_commit)?;
        let journal = opened.journal;
        let in_force = InForce { settings: Arc::new(settings(&config, &options)), rules: Arc::new(rules) };
        let started = Record::Started {
            version: env!("CARGO_PKG_VERSION").into(),
            rules_hash: in_force.rules.hash.clone(),
            dry_run: options.dry_run,
        };
        let pace = Arc::new(Pace::new());
        let client: SharedClient = Arc::new(ArcSwapOption::new(flashduty::client(&config, &pace)?));
        let action_settings =
            action_settings(&config, &options, redactor.load_full(), client.load_full(), trace_ids.clone());
        let room = Room::beside(history.outbox.len());
        let (sender, queued) = mpsc::unbounded_channel();
        let outgoing = Outgoing { sender, room: room.clone(), redactor: Arc::clone(&redactor) };
        let now = clock.now();
        history.apply(history.last_seq(), now, &started);
        hiding::put_on_record(&journal, &redactor.load_full(), now, vec![started]).await?;
        let reader = Reader::open(journal.path())?;
        let recovery = recovery::Recovery {
            journal: &journal,
            reader: &reader,
            in_force: &in_force,
            clock: &*clock,
            report: &report,
            outgoing: &outgoing,
            cgroups: action_settings.isolation.cgroups.as_deref(),
        };
        let resumed = recovery.run(&mut history).await?;
        if let Some(cgroups) = &action_settings.isolation.cgroups {
            cgroups.clean();
        }

        let runner = Runner::new(Wiring {
            sink: journal.clone(),
            planner: Arc::new(planner::Rendering::new()),
            clock: Arc::clone(&clock),
            observer: Arc::clone(&report) as Arc<dyn crate::runner::Observer>,
            room: room.clone(),
            settings: action_settings,
        })?;

        // Listening comes last: whoever can connect is served.
        let addr = options.listen.unwrap_or(config.listen);
        let listener = TcpListener::bind(addr).await.map_err(|source| StartError::Listen { addr, source })?;
        let webhook = listener.local_addr().map_err(|source| StartError::Listen { addr, source })?;

        let (commands, commands_taken) = mpsc::channel(COMMANDS_MAX);
        report.in_force(&in_force.rules);
        let waiting = history.outbox.waiting().cloned().collect();
        let outbox = Outbox::start(
            outbox::Wiring {
                sink: journal.clone(),
                client: Arc::clone(&client),
                room,
                clock: Arc::clone(&clock),
                report: Arc::clone(&report),
                redactor: Arc::clone(&redactor),
                only_dry_runs: options.dry_run,
            },
            waiting,
            queued,
        );
        let decider = Decider {
            journal: journal.clone(),
            committed: opened.committed,
            commands: commands_taken,
            history,
            in_force: in_force.clone(),
            runner: runner.clone(),
            reader,
            clock: Arc::clone(&clock),
            report: Arc::clone(&report),
            outgoing,
            unconcerned: None,
        };
        for intent in resumed {
            let run = intent.run.clone();
            if let Err(error) = runner.start(intent) {
                tracing::warn!(%run, %error, "a run that was to go on was not started");
            }
        }
        let receiver_settings = Arc::new(ArcSwap::from_pointee(receiver_settings));
        let (stop_receiver, stopping) = watch::channel(false);
        let receiver = tokio::spawn(serve(
            listener,
            Arc::clone(&receiver_settings),
            journal.clone(),
            Arc::clone(&clock),
            Arc::clone(&report),
            stopping,
        ));
        #[cfg(feature = "otlp")]
        let exporter = match (&trace_ids, &trace_target) {
            (Some(ids), Some(target)) => Some(traces::Exporter::start(traces::Wiring {
                journal: journal.path().to_owned(),
                from: untold,
                commits: commits.clone(),
                ids: TraceIds::clone(ids),
                installation: traces::installation(&config.data),
                target: Arc::clone(target),
                redactor: Arc::clone(&redactor),
                report: Arc::clone(&report),
            })?),
            _ => None,
        };
        let handle = Handle::new(handle::Shared {
            commands,
            journal: journal.clone(),
            runner,
            report,
            redactor,
            receiver_settings,
            in_force: ArcSwap::from_pointee(in_force),
            config: ArcSwap::from_pointee(config),
            options,
            clock: Arc::clone(&clock),
            commits,
            reloading: tokio::sync::Mutex::new(()),
            rerunning: tokio::sync::Mutex::new(()),
            client,
            pace,
            catching_up: tokio::sync::Mutex::new(()),
            reload_wanted: tokio::sync::Notify::new(),
            seen: ArcSwap::from_pointee(seen),
            refused_reload: ArcSwapOption::empty(),
            trace_ids,
            #[cfg(feature = "otlp")]
            trace_target,
        });
        Ok(Self {
            webhook,
            stop_receiver,
            receiver,
            decider: Some(tokio::spawn(decider.run())),
            outbox,
            janitor: tokio::spawn(janitor(handle.clone())),
            catching_up: tokio::spawn(catch_up::at_start(handle.clone(), missed_since)),
            watcher: tokio::spawn(watcher::watch(handle.clone())),
            #[cfg(feature = "otlp")]
            exporter,
            writer: opened.writer,
            died: false,
            handle,
        })
    }

    /// What the admin interface works with.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The address that the webhook listens on.
    pub fn webhook(&self) -> SocketAddr {
        self.webhook
    }

    /// Resolves when the engine cannot go on, with the reason.
    pub async fn failed(&mut self) -> Failure {
        let ended = match &mut self.decider {
            Some(decider) => decider.await,
            None => return Failure::Defect("the deciding task ended before".into()),
        };
        self.decider = None;
        match ended {
            Ok(Ok(_)) => Failure::Defect("the deciding task ended".into()),
            Ok(Err(error)) => error.into(),
            Err(error) => {
                self.died = true;
                Failure::Defect(format!("the deciding task died: {error}"))
            }
        }
    }

    /// Stops in the order of the flow: nothing new comes in, nothing new is decided, runs get `grace` to end, or until
    /// `at_once` resolves.
    pub async fn stop(mut self, grace: Duration, at_once: impl Future<Output = ()>) {
        self.catching_up.abort();
        self.watcher.abort();
        self.stop_receiver.send_replace(true);
        wait_for(self.receiver, "receiver").await;
        // Where it ended just as a signal came, nobody has seen yet how: it may have died.
        if let Some(decider) = self.decider.take() {
            if !decider.is_finished() {
                self.handle.tell(Command::Stop).await;
            }
            self.died |= !wait_for(decider, "decider").await;
        }
        let left = self.handle.runner().drain(grace, at_once).await;
        if left > 0 {
            tracing::error!(left, "runs did not end in time; the next start records them as interrupted");
        }
        self.outbox.stop().await;
        self.janitor.abort();
        let journal = self.handle.journal();
        // Without this record the next start counts a death, and by that tells over which event the daemon dies.
        if !self.died
            && let Err(error) = journal.append(vec![Record::Stopped]).await
        {
            tracing::warn!(%error, "the stop could not be recorded");
        }
        #[cfg(feature = "otlp")]
        if let Some(exporter) = self.exporter {
            exporter.stop().await;
        }
        journal.close();
        let ended = tokio::task::spawn_blocking(move || self.writer.join().is_ok()).await;
        if !matches!(ended, Ok(true)) {
            tracing::error!("the journal's thread died");
        }
    }
}

async fn serve(
    listener: TcpListener,
    settings: Arc<ArcSwap<receiver::Settings>>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    report: Arc<Report>,
    mut stopping: watch::Receiver<bool>,
) {
    let stop = async move {
        // The sender goes only when the engine does.
        stopping.wait_for(|stop| *stop).await.ok();
    };
    let stopped = receiver::serve(listener, settings, journal, clock, report, stop).await;
    if stopped.cut > 0 {
        tracing::warn!(connections = stopped.cut, "connections were cut, because they did not end in time");
    }
}

/// Waits for a task; whether it ended without a panic.
async fn wait_for<T>(task: JoinHandle<T>, name: &str) -> bool {
    let ended = task.await;
    if let Err(error) = &ended {
        tracing::error!(%error, task = name, "a task died");
    }
    ended.is_ok()
}

/// Lets old records go, a few at a time.
async fn janitor(handle: Handle) {
    let mut every = tokio::time::interval(RETAIN_EVERY);
    loop {
        every.tick().await;
        let retention = handle.config().retention.clone();
        while handle.journal().retain(&retention, handle.now()).await > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts and stops an engine whose deciding task was cut off, or not, in a way that nobody saw before the stop.
    /// Gives whether the stop is on record.
    async fn records_its_stop(is_cut_off: bool) -> bool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        let file = folder.path().join("stanch.yaml");
        let text = "sources: [ { name: a, path: /a, auth: none } ]\nlisten: 127.0.0.1:0\n";
        std::fs::write(&file, text).unwrap();
        let config = crate::config::load::load(&file).unwrap().config;
        let rules = crate::rule::load::load(&config, 1).set.unwrap();
        let engine = Engine::start(config.clone(), rules, Options::of_reader()).await.unwrap();
        if is_cut_off {
            let decider = engine.decider.as_ref().unwrap();
            decider.abort();
            while !decider.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        engine.stop(Duration::ZERO, std::future::pending()).await;
        let mut last = None;
        let reader = Reader::open(&config.data.join(crate::journal::FILE_NAME)).unwrap();
        let scanned = reader.scan(0, |stored| {
            last = Some(stored.record);
            true
        });
        scanned.unwrap();
        matches!(last, Some(Record::Stopped))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_is_recorded_unless_the_deciding_task_died_even_where_nobody_saw_it_die() {
        assert!(records_its_stop(false).await);
        assert!(!records_its_stop(true).await);
    }
}
