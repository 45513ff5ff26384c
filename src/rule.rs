//! Rules: from YAML to a validated [`RuleSet`], or every diagnostic at once.
//!
//! The raw shape is read loosely and checked wholly; only what passed reaches the rest. This module never acts.

pub mod destination;
pub mod diagnostic;
pub mod duration;
pub mod guards;
pub mod load;
pub mod matching;
pub(crate) mod read;
pub mod sandbox;
pub mod schema;
pub mod step;
pub mod template;
pub mod test_case;
pub mod trust;
pub mod view;
pub mod vocabulary;
pub mod yaml;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use read::steps_from::StepsFrom;

use guards::Guards;
use matching::Match;
use sandbox::Condition;
use step::Step;
use template::Template;

/// The id of a rule: `[a-z0-9][a-z0-9-]{0,63}`, unique in the rule set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// Wraps an id that was already validated.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as shared text, for labels and records that keep it.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a rule may go. The lower of the rule's mode and the engine's ceiling holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not asked at all.
    Off,
    /// Decided, rendered and recorded; nothing is executed.
    DryRun,
    /// Waits for a person to approve.
    Approve,
    /// Acts.
    Auto,
}

impl Mode {
    /// The words that rule files and the config use, in the order of the ceiling.
    pub const NAMES: &[(&str, Self)] =
        &[("off", Self::Off), ("dry-run", Self::DryRun), ("approve", Self::Approve), ("auto", Self::Auto)];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::Approve => "approve",
            Self::Auto => "auto",
        })
    }
}

/// What is said on an incident without being written in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    /// Nothing.
    Off,
    /// What each run did.
    Runs,
    /// That, and what a rule in dry-run would have done.
    DryRuns,
}

/// What a dedupe slot, and any count "by" something, is counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum By {
    /// One for the whole rule.
    Rule,
    /// The incident; an alert without one counts as its own.
    Incident,
    /// The alert.
    Alert,
    /// The rendered target.
    Target,
    /// The channel id.
    Channel,
    /// The value of a label.
    Label(String),
    /// The event itself.
    Event,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("rule"),
            Self::Incident => f.write_str("incident"),
            Self::Alert => f.write_str("alert"),
            Self::Target => f.write_str("target"),
            Self::Channel => f.write_str("channel"),
            Self::Label(name) => write!(f, "labels.{name}"),
            Self::Event => f.write_str("event"),
        }
    }
}

/// How long a dedupe slot is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DedupeFor {
    /// Until the incident (or alert) closes or reopens.
    Incident,
    /// A fixed time from when the slot was taken.
    Time(Duration),
}

/// Which matches count as the same occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// The parts of the key, all of which must be equal.
    pub by: Vec<By>,
    /// How long the slot is held.
    pub lasts: DedupeFor,
}

/// What a late event does for this rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatePolicy {
    /// Nothing.
    #[default]
    Ignore,
    /// The rule is evaluated against the newest known state, if that is not closed.
    Newest,
}

/// Checking that the condition is gone after the steps passed.
#[derive(Debug, Clone)]
pub struct Verify {
    /// How long it may take until the check holds.
    pub within: Duration,
    /// How long to wait between two tries.
    pub every: Duration,
    /// The steps that must all pass.
    pub steps: Vec<Arc<Step>>,
}

/// Where in the rule files something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was found.
    pub file: Arc<PathBuf>,
    /// One-based line.
    pub line: usize,
    /// One-based column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A validated rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How far it may go.
    pub mode: Mode,
    /// The cheap, indexed part of its condition.
    pub matching: Match,
    /// The scripted part.
    pub when: Option<Condition>,
    /// What it acts upon; `None` means the incident, else the alert.
    pub target: Option<Template>,
    /// Which matches count as one.
    pub dedupe: Dedupe,
    /// What late events do.
    pub late: LatePolicy,
    /// What may object.
    pub guards: Guards,
    /// What it does.
    pub steps: Vec<Arc<Step>>,
    /// The function that returns the steps, where a script does; `steps` is then empty.
    pub steps_from: Option<Arc<StepsFrom>>,
    /// How it makes sure.
    pub verify: Option<Verify>,
    /// What follows when it succeeded.
    pub on_success: Vec<Arc<Step>>,
    /// What follows when it did not.
    pub on_failure: Vec<Arc<Step>>,
    /// What is said on the incident about its runs.
    pub report: Reporting,
    /// Where it stands.
    pub place: Place,
}

/// The rules that are in force together.
#[derive(Debug)]
pub struct RuleSet {
    /// Counts the sets loaded since the engine started; recorded in every decision.
    pub generation: u64,
    /// BLAKE3 over the files that it was read from, in hexadecimal.
    pub hash: String,
    /// The rules, ordered by id.
    pub rules: Vec<Arc<Rule>>,
    /// Whether any rule wants late events evaluated against the newest state.
    pub any_late_newest: bool,
    /// The index that finds the rules an event concerns.
    pub index: crate::matcher::Index,
    /// The script engine that conditions of this set were compiled by.
    pub sandbox: Arc<sandbox::Sandbox>,
}

impl RuleSet {
    /// Puts rules into force as one set: orders them by id and builds the index.
    pub fn new(mut rules: Vec<Arc<Rule>>, sandbox: Arc<sandbox::Sandbox>, hash: String, generation: u64) -> Self {
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let index = crate::matcher::Index::build(&rules);
        let any_late_newest = rules.iter().any(|rule| rule.late == LatePolicy::Newest);
        Self { generation, hash, rules, any_late_newest, index, sandbox }
    }

    /// The rule with this id.
    pub fn get(&self, id: &RuleId) -> Option<&Arc<Rule>> {
        self.rules.binary_search_by(|rule| rule.id.cmp(id)).ok().and_then(|at| self.rules.get(at))
    }
}
