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
mod fault;
mod flashduty;
mod handle;
mod hiding;
mod periodic;
mod planner;
mod recovery;
mod reload;
pub(crate) mod watcher;

pub use catch_up::{CatchUpError, CaughtUp, SINCE_MAX};
pub use handle::{Handle, Refusal};
pub use reload::{RefusedReload, ReloadError, Reloaded};
pub use watcher::{Fingerprint, Inputs, Stamp};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decide::Settings;
use crate::event::Event;
use crate::guard::GuardSettings;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::StoreError;
use crate::journal::{Journal, RecordSink, Recovered, Refused};
use crate::report::Report;
use crate::report::flashduty::{Client, Pace};
use crate::report::logging::SharedRedactor;
use crate::report::outbox::{self, Outbox, Room, SharedClient};
use crate::report::redact::Redactor;
use crate::report::traces::{self, TraceIds};
use crate::rule::{Mode, RuleSet};
use crate::runner::{Runner, Wiring};
use crate::{action, event, receiver};
use command::Command;
use decider::{Decider, EngineError, InForce};
use flashduty::Outgoing;

/// How many commands may wait for the deciding task.
const COMMANDS_MAX: usize = 256;

/// How often the janitor looks for records to let go.
const RETAIN_EVERY: Duration = Duration::from_secs(600);

/// How the engine is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nothing is executed, whatever the rules and the config say.
    pub dry_run: bool,
    /// Listens here instead of where the config says.
    pub listen: Option<SocketAddr>,
    /// The path of our own binary, for steps that need it to set up their process.
    pub own_binary: PathBuf,
    /// Hides secrets in log lines and records; filled at start with those of the config.
    pub redactor: SharedRedactor,
    /// The state in which the files of the config and the rules were before these were read; `None` where that is
    /// taken to be their state at start.
    pub read_from: Option<Fingerprint>,
}

impl Options {
    /// The options under which a command that only reads looks at things: as a plain `serve` would.
    pub fn of_reader() -> Self {
        let redactor = Arc::new(ArcSwap::from_pointee(Redactor::none()));
        Self { dry_run: false, listen: None, own_binary: PathBuf::new(), redactor, read_from: None }
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The webhook's settings cannot be used.
    #[error("{0}")]
    Receiver(String),
    /// A secret cannot be used.
    #[error("{0}")]
    Secret(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; is another program using it?")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A thread or file of the engine's own cannot be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Processes or requests cannot be made ready for.
    #[error(transparent)]
    Runner(#[from] crate::action::SetupError),
    /// The journal closed at once.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What a crash left could not be seen to.
    #[error(transparent)]
    Recovery(#[from] EngineError),
}

#[cfg(feature = "otlp")]
impl From<traces::TargetError> for StartError {
    fn from(error: traces::TargetError) -> Self {
        match error {
            traces::TargetError::Http(error) => Self::Runner(error.into()),
            other => Self::Secret(other.to_string()),
        }
    }
}

/// A running engine.
pub struct Engine {
    handle: Handle,
    webhook: SocketAddr,
    stop_receiver: watch::Sender<bool>,
    receiver: JoinHandle<()>,
    decider: JoinHandle<Result<History, EngineError>>,
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

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What it decides cannot be recorded, or the journal cannot be read.
    #[error(transparent)]
    Journal(#[from] EngineError),
    /// It is a defect of ours. What was accepted is decided after a restart; an event over which that happens twice is
    /// set aside then.
    #[error("the engine stops because of a defect of its own, please report it: {0}")]
    Defect(String),
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

        let recovered = Recovered::open(&config.data, config.strict_ordering)?;
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
        let (mut history, opened) = recovered
            .start(Arc::clone(&clock), on_commit)
            .map_err(|source| StartError::Io { doing: "start the journal's thread", source })?;
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
            decider: tokio::spawn(decider.run()),
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
        match (&mut self.decider).await {
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
        if !self.decider.is_finished() {
            self.handle.tell(Command::Stop).await;
            self.died |= !wait_for(self.decider, "decider").await;
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

/// What the core needs of the config and the command line.
pub fn settings(config: &Config, options: &Options) -> Settings {
    let ceiling = if options.dry_run { Mode::DryRun } else { Mode::Auto };
    Settings {
        ceiling: config.mode.min(ceiling),
        guards: GuardSettings {
            budgets: config.budgets.clone(),
            schedules: config.schedules.clone(),
            runs_max: u32::try_from(config.limits.runs).unwrap_or(u32::MAX),
        },
    }
}

fn action_settings(
    config: &Config,
    options: &Options,
    redactor: Arc<Redactor>,
    flashduty: Option<Arc<Client>>,
    traces: Option<Arc<TraceIds>>,
) -> action::Settings {
    action::Settings {
        output_bytes: config.limits.output_bytes,
        http_allow: config.http_allow.clone(),
        flashduty,
        run_link: config.flashduty.as_ref().and_then(|flashduty| flashduty.run_link.clone()),
        redactor,
        own_program: options.own_binary.clone(),
        isolation: action::Isolation {
            limits: config.limits.step,
            cgroups: action::process::Cgroups::find(&config.data),
        },
        ssh: action::SshSettings::of(config),
        traces,
    }
}

/// The receiver's settings, for the address that is really listened on: a source without authentication is refused
/// where `--listen` opens it to others, as it is where the config does.
fn receiver_settings(config: &Config, options: &Options) -> Result<receiver::Settings, String> {
    let listen = options.listen.unwrap_or(config.listen);
    let config = Config { listen, ..config.clone() };
    let settings = receiver::Settings::from_config(&config).map_err(|errors| lines(&errors))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// A redactor for every secret that the config names.
fn redactor_for(config: &Config) -> Result<Redactor, StartError> {
    let secrets: Result<Vec<_>, _> = config.secrets().into_iter().map(|secret| secret.resolve()).collect();
    let secrets = secrets.map_err(|error| StartError::Secret(error.to_string()))?;
    Redactor::new(secrets.iter().map(|secret| secret.expose())).map_err(|error| StartError::Secret(error.to_string()))
}

/// A redactor for those secrets of the config that whoever runs this may read, for commands beside the daemon.
pub fn redactor_as_far_as_readable(config: &Config) -> Redactor {
    let secrets: Vec<_> = config.secrets().into_iter().filter_map(|secret| secret.resolve().ok()).collect();
    // Without a search nothing is hidden, and the command would be of no less use.
    Redactor::new(secrets.iter().map(|secret| secret.expose())).unwrap_or_default()
}

fn lines<T: ToString>(errors: &[T]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The event at `seq` of the journal; `None` where its body is not kept any more.
pub fn load_event(reader: &Reader, seq: u64) -> Result<Option<Event>, StoreError> {
    Ok(reader.push_at(seq)?.and_then(|stored| event_of(&stored)))
}

/// A stored push as an event; `None` where its body is not kept any more.
pub fn event_of(stored: &crate::journal::store::Stored) -> Option<Event> {
    let Record::Received { source, caught_up, .. } = &stored.record else { return None };
    let body = stored.payload.clone()?;
    // It was read once before it was accepted, by the same rules.
    let mut event = event::read(body.into(), source.as_str().into(), stored.at).ok()?;
    event.caught_up = *caught_up;
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unguarded_source_cannot_be_opened_by_an_option() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stanch.yaml");
        std::fs::write(&file, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
        let config = crate::config::load::load(&file).unwrap().config;
        let listening = |listen: Option<&str>| {
            let options = Options { listen: listen.map(|addr| addr.parse().unwrap()), ..Options::of_reader() };
            receiver_settings(&config, &options)
        };
        assert!(listening(None).is_ok());
        assert!(listening(Some("[::1]:0")).is_ok());
        let refused = listening(Some("0.0.0.0:0")).unwrap_err();
        assert!(refused.contains("auth: none"), "{refused}");
    }
}
