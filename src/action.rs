//! Doing what a plan says: one file a step kind.
//!
//! An action is given a finished [`Call`] and comes back with what it led to; every failure is part of that, never a
//! panic. Actions know no rules: whether something is done is decided before it comes here.

pub mod exec_shim;
mod http;
mod live;
pub(crate) mod nss;
pub mod process;
mod run;
mod shell;
mod ssh;
mod stop;
mod wait;

pub use http::HttpError;
#[cfg(feature = "otlp")]
pub(crate) use http::describe;
pub use live::{Live, TAIL_BYTES_MAX, Tail};
pub use process::StartError;
pub use ssh::SshSettings;
pub(crate) use ssh::probe as probe_ssh;
pub use stop::{Stop, StopReason, Stopper};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::clock::Stopwatch;
use crate::journal::record::{RunId, StepEnd, StepResult};
use crate::plan::Call;
use crate::report::redact::Redactor;
use crate::rule::step::StatusPattern;

/// Chooses the cryptography of the whole process, once; whoever makes a TLS or HTTP client calls it first.
pub fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost where another thread came first, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// What every client has with which the daemon calls others: no redirect is followed and no proxy asked, since either
/// would learn what is meant for another, and whoever is called is told who calls.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")))
}

/// What actions need to know beside their call. Changes with a reload, and then counts from the next step on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes kept of each output stream, and of the body of an HTTP answer.
    pub output_bytes: usize,
    /// `host:port` that HTTP requests may reach, lower case.
    pub http_allow: Vec<String>,
    /// Takes secrets out of what is kept.
    pub redactor: Arc<Redactor>,
    /// Asks Flashduty whether an incident is still open; none where the config has no `flashduty` section.
    pub flashduty: Option<Arc<crate::report::flashduty::Client>>,
    /// What stands before a run's id in the address of its page.
    pub run_link: Option<String>,
    /// Our own binary, which confines itself and changes the account before it becomes the program of a step.
    pub own_program: PathBuf,
    /// How processes are kept apart.
    pub isolation: Isolation,
    /// What `ssh` steps need.
    pub ssh: SshSettings,
    /// Names the spans of steps, so that traces can go on in what they call; none where no traces are sent.
    pub traces: Option<Arc<crate::report::traces::TraceIds>>,
}

/// How the processes of steps are kept apart from the daemon and from each other, besides what holds for all of them.
#[derive(Debug, Clone, Default)]
pub struct Isolation {
    /// What each process may have.
    pub limits: process::StepLimits,
    /// Where each step gets a cgroup of its own, if it does.
    pub cgroups: Option<Arc<process::Cgroups>>,
}

/// The circumstances of one try of a step.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The run, by whose id its processes are marked.
    pub run: &'a RunId,
    /// The environment of processes, complete but for what the call declares.
    pub environment: &'a BTreeMap<String, String>,
    /// What `stdin: event` gives.
    pub event_body: &'a Bytes,
    /// The span of this try in the form of W3C; none where it is not traced.
    pub traceparent: Option<&'a str>,
    /// How long it may take.
    pub timeout: Duration,
    /// Says when to end early.
    pub stop: &'a Stop,
    /// Where it shows what it prints while it runs.
    pub live: &'a Live,
    /// The settings in force.
    pub settings: &'a Settings,
}

/// What an HTTP answer must be.
pub struct Expected<'a> {
    /// One of these must match the status.
    pub status: &'a [StatusPattern],
    /// Judges the answer (`status`, `body`, `json`, `headers`) further; an error fails the step.
    pub when: Option<&'a (dyn Fn(Value) -> Result<bool, String> + Sync)>,
}

/// Acts. One for the whole engine: it owns the threads that start processes and the pool of HTTP connections.
#[derive(Debug)]
pub struct Actor {
    starter: process::Starter,
    http: http::Client,
    connections: ssh::Connections,
}

/// Acting cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Processes cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// HTTP requests cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Actor {
    /// Makes ready to act. Must be called inside a Tokio runtime, which the children are then waited for on.
    ///
    /// # Errors
    /// When the threads cannot be started or the trusted certificates cannot be read.
    pub fn new() -> Result<Self, SetupError> {
        let (starter, http) = (process::Starter::new()?, http::Client::new()?);
        Ok(Self { starter, http, connections: ssh::Connections::default() })
    }

    /// Does what `call` says, once. `expected` counts for HTTP requests alone.
    pub async fn act(&self, call: &Call, expected: &Expected<'_>, attempt: &Attempt<'_>) -> StepResult {
        let watch = Stopwatch::start();
        let mut result = match call {
            Call::Run(call) => run::act(&self.starter, call, attempt).await,
            Call::Shell(call) => shell::act(&self.starter, call, attempt).await,
            Call::Http(call) => self.http.act(call, expected, attempt).await,
            // What changes an incident goes through the journal to the outbox, never out from here.
            Call::Flashduty(_) => failed("a write-back is queued, not acted"),
            Call::Ssh(call) => ssh::act(&self.starter, &self.connections, call, attempt).await,
            Call::Each(_) => failed("an `each` is walked through, not done in one"),
            Call::Wait(duration) => wait::act(*duration, attempt.stop).await,
        };
        if let Some(error) = &mut result.error {
            *error = attempt.settings.redactor.redact(error).into_owned();
        }
        result.duration_ms = watch.elapsed_ms();
        result
    }
}

impl Actor {
    /// Ends the connections to other hosts that steps have shared. Nothing may act any more.
    pub async fn close(&self, settings: &Settings) {
        ssh::end_all(&settings.ssh).await;
    }
}

/// A result that says nothing but how it ended, and why.
pub(crate) fn ended(end: StepEnd, error: Option<String>) -> StepResult {
    StepResult {
        end,
        exit_code: None,
        signal: None,
        status: None,
        stdout: String::new(),
        stderr: String::new(),
        dropped_bytes: 0,
        error,
        duration_ms: 0,
    }
}

/// The result of something that could not be done.
fn failed(error: impl Into<String>) -> StepResult {
    ended(StepEnd::Failed, Some(error.into()))
}
