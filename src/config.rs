//! The validated configuration.
//!
//! Reading it is `read`'s; only what passed reaches the rest. Paths are absolute here: relative ones in the file
//! are relative to the file's folder.

pub mod load;
pub mod secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::action::process::StepLimits;
use crate::rule::By;
use crate::rule::guards::{BlastRadius, Rate};
use crate::rule::{Mode, Reporting};
use secret::SecretRef;

/// The addresses that Flashduty documents as the sources of its pushes. They may change: `allow_from` in the
/// config can name others, and a reload takes them over.
pub const FLASHDUTY_ADDRESSES: &[&str] = &["47.94.95.118", "123.56.8.183", "47.94.193.81", "1.13.19.96"];

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from, absolute.
    pub file: PathBuf,
    /// The file's folder: relative programs, `cwd` and paths start here.
    pub base: PathBuf,
    /// The webhook listener.
    pub listen: SocketAddr,
    /// TLS for the webhook listener.
    pub tls: Option<Tls>,
    /// The folder of the journal and the socket.
    pub data: PathBuf,
    /// The folder of the rule files.
    pub rules: PathBuf,
    /// The folder of `*.rhai` modules.
    pub scripts: PathBuf,
    /// The ceiling for every rule.
    pub mode: Mode,
    /// Whether annotating events order too.
    pub strict_ordering: bool,
    /// Where pushes come from. Never empty.
    pub sources: Vec<Source>,
    /// Writing back.
    pub flashduty: Option<Flashduty>,
    /// `host:port` that `http` steps may reach, lower case.
    pub http_allow: Vec<String>,
    /// The SSH client's config for `ssh` steps; its own default ones where there is none.
    pub ssh_config: Option<PathBuf>,
    /// Limits.
    pub limits: Limits,
    /// Caps across rules.
    pub budgets: Vec<Budget>,
    /// Named times.
    pub schedules: BTreeMap<String, Schedule>,
    /// How long records are kept.
    pub retention: Retention,
    /// The admin listeners.
    pub admin: Admin,
    /// Logging.
    pub log: Log,
    /// Where traces go, if they do.
    pub traces: Option<Traces>,
}

impl Config {
    /// Every secret that the config names.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets = Vec::new();
        for source in &self.sources {
            if let Auth::Header { secret, previous, .. } = &source.auth {
                secrets.push(secret);
                secrets.extend(previous);
            }
        }
        secrets.extend(self.flashduty.as_ref().map(|flashduty| &flashduty.app_key));
        secrets.extend(&self.admin.token);
        secrets.extend(&self.admin.read_token);
        secrets.extend(self.traces.iter().flat_map(|traces| traces.headers.iter().map(|(_, value)| value)));
        secrets
    }
}

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Who may push to one path.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, in `match.sources`, logs and metrics.
    pub name: String,
    /// The path of the URL, beginning with `/`.
    pub path: String,
    /// How a push proves itself.
    pub auth: Auth,
    /// Networks that may connect. Empty means nobody.
    pub allow_from: Vec<IpNet>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// How a push proves itself.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all; accepted on a loopback listener only.
    None,
    /// A secret in a header.
    Header {
        /// The header's name, lower case.
        header: String,
        /// The secret.
        secret: SecretRef,
        /// The one before it, while senders are changed over.
        previous: Option<SecretRef>,
    },
}

/// The Flashduty Open API.
#[derive(Debug, Clone)]
pub struct Flashduty {
    /// Base URL.
    pub api: String,
    /// The app key.
    pub app_key: SecretRef,
    /// Ask at start for incidents opened while away.
    pub catch_up: bool,
    /// What is said on incidents about runs, where their rule does not say.
    pub report: Reporting,
    /// What stands before a run's id in the address of its page, for links in reports.
    pub run_link: Option<String>,
}

/// How long runs may go on after the daemon was told to stop, unless the config says otherwise.
pub const GRACE: Duration = Duration::from_secs(20);

/// Limits on what the daemon takes and does at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a push's body.
    pub body_bytes: usize,
    /// Open connections to the webhook listener.
    pub connections: usize,
    /// Runs that act at the same time.
    pub runs: usize,
    /// Bytes kept of one step's output, per stream.
    pub output_bytes: usize,
    /// How long runs may go on after the daemon was told to stop.
    pub grace: Duration,
    /// What each process of a step may have.
    pub step: StepLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            connections: 1024,
            runs: 8,
            output_bytes: 64 * 1024,
            grace: GRACE,
            step: StepLimits::default(),
        }
    }
}

/// A cap across rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name, in reasons.
    pub name: String,
    /// At most so many runs.
    pub rate: Option<Rate>,
    /// At most so many targets.
    pub blast_radius: Option<BlastRadius>,
}

/// A named time: on from `from` to `to` (over midnight where `to` is not after it) on the days in `days`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Weekdays on which it begins; empty means every day.
    pub days: Vec<jiff::civil::Weekday>,
    /// Dates on which it begins; empty means every date.
    pub dates: Vec<jiff::civil::Date>,
    /// When it begins.
    pub from: jiff::civil::Time,
    /// When it ends; equal to `from` means a whole day.
    pub to: jiff::civil::Time,
    /// Where the clock hangs.
    pub zone: jiff::tz::TimeZone,
}

/// How long records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Bodies of events.
    pub events: Duration,
    /// Decisions, runs and their outcomes.
    pub runs: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { events: Duration::from_secs(30 * 86_400), runs: Duration::from_secs(180 * 86_400) }
    }
}

/// The admin listeners.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The unix socket.
    pub socket: PathBuf,
    /// A TCP listener besides it.
    pub listen: Option<SocketAddr>,
    /// The token for the TCP listener.
    pub token: Option<SecretRef>,
    /// A token that lets its bearers see, but not act.
    pub read_token: Option<SecretRef>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least level: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: String,
}

/// Traces by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The URL that takes them.
    pub endpoint: String,
    /// Headers of each request, with where their values are kept.
    pub headers: Vec<(String, SecretRef)>,
    /// The part of events that is traced, from 0 to 1.
    pub sample: f64,
}

/// What a count across rules may be counted by; budgets know no single rule.
pub const BUDGET_BY: &[By] = &[By::Rule, By::Target, By::Channel];
