//! Plans: a rule's steps rendered for one event. What a plan says is exactly what will be done.
//!
//! Rendering is pure: dry-run, `explain`, `test` and `backtest` show the same plan that `serve` acts on.

mod each;
mod environment;
mod flashduty;
mod json;
mod own;
mod remote;
mod render;
#[cfg(test)]
mod tests;

pub use each::{EACH_ITEMS_MAX, EACH_STEPS_MAX, EachItems, each_items};
pub use environment::{PATH, environment};
pub use own::{OwnSteps, own_steps, plan};
pub use render::{ARGUMENT_BYTES_MAX, PlanError, TARGET_CHARS_MAX, render_step, steps, target};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::journal::record::WriteBackCall;
use crate::rule::step::Step;
use crate::rule::trust::Sealed;

/// What a rule would do for one event.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is acted upon. Never empty, `*` or `all`.
    pub target: String,
    /// The steps in order.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// The step it was rendered from.
    pub spec: Arc<Step>,
    /// What will be done; `None` where that depends on the output of an earlier step, and so is rendered when
    /// its turn comes.
    pub call: Option<Call>,
}

/// A rendered action, complete: no template is left in it. [`Plan::to_json`] shows it in the shape of the rule
/// language.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// A program with its arguments.
    Run(RunCall),
    /// A script for `/bin/sh -eu`.
    Shell(ShellCall),
    /// An HTTP request.
    Http(HttpCall),
    /// A program or script on another host.
    Ssh(Box<SshCall>),
    /// Steps for one item of a list after the other.
    Each(Arc<EachCall>),
    /// Calls that change the incident in Flashduty.
    Flashduty(FlashdutyCall),
    /// A pause.
    Wait(Duration),
}

impl PartialEq for PlannedStep {
    /// Steps themselves are not compared, but told apart.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.spec, &other.spec) && self.call == other.call
    }
}

/// What `run` and `shell` have in common, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessCall {
    /// Declared variables, besides the `STANCH_*` ones.
    pub env: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: StdinCall,
    /// Working folder, absolute.
    pub cwd: PathBuf,
    /// The account it runs as.
    pub user: Option<String>,
    /// Exit codes that count as success.
    pub exit_codes: Vec<i32>,
    /// The program may gain privileges.
    pub allow_sudo: bool,
}

/// Standard input, rendered.
#[derive(Debug, Clone, PartialEq)]
pub enum StdinCall {
    /// The event's JSON.
    Event,
    /// Nothing.
    None,
    /// This text.
    Text(String),
}

/// `run`, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCall {
    /// The program and its arguments, as the rule shows them.
    pub argv: Vec<String>,
    /// The program, absolute.
    pub program: PathBuf,
    /// Files that must be what they were when the rules were loaded.
    pub files: Vec<Arc<Sealed>>,
    /// Where and how it runs.
    pub process: ProcessCall,
}

/// `shell`, rendered (the script itself holds no templates).
#[derive(Debug, Clone, PartialEq)]
pub struct ShellCall {
    /// The script.
    pub script: String,
    /// Where and how it runs.
    pub process: ProcessCall,
}

/// `http`, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// The method.
    pub method: String,
    /// The URL with its query.
    pub url: String,
    /// `host:port`, as checked against the config's list.
    pub authority: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<HttpCallBody>,
}

/// `flashduty`, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct FlashdutyCall {
    /// The incident.
    pub incident: Arc<str>,
    /// What is done to it, in this order. Never empty.
    pub calls: Vec<WriteBackCall>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpCallBody {
    /// JSON.
    Json(Value),
    /// Text.
    Text(String),
}

/// `ssh`, rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct SshCall {
    /// The host: a name, an alias of the SSH config, or an address without brackets.
    pub host: String,
    /// The account there.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// What is done there.
    pub command: RemoteCall,
    /// Declared variables, besides the `STANCH_*` ones.
    pub env: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: StdinCall,
    /// Exit codes that count as success.
    pub exit_codes: Vec<i32>,
}

/// What is done on another host.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoteCall {
    /// A program there with its arguments.
    Run(Vec<String>),
    /// Text for its `sh -eu`.
    Shell(String),
}

/// `each`, rendered for every item.
#[derive(Debug, Clone, PartialEq)]
pub struct EachCall {
    /// The name by which the steps know their item.
    pub name: String,
    /// How many items are worked on at a time.
    pub batch: usize,
    /// How many may fail before no further batch is begun.
    pub tolerance: usize,
    /// What is done, item by item.
    pub targets: Vec<EachTarget>,
}

/// One item of an `each` with its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct EachTarget {
    /// The item.
    pub item: String,
    /// What is done with it, in order.
    pub steps: Vec<PlannedStep>,
}
