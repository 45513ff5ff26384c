//! Validated steps: what a rule does. Rendering one for an event is [`crate::plan`]'s, doing it [`crate::action`]'s.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Place;
use super::sandbox::Condition;
use super::template::Template;
use super::trust::Sealed;

/// How long a step may take unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an `each` may take in all unless it says otherwise: its items take their own time, one batch after the other.
pub const EACH_TIMEOUT: Duration = Duration::from_secs(3600);

/// One step with what all kinds have in common.
#[derive(Debug, Clone)]
pub struct Step {
    /// The name under which later steps and reports know it.
    pub name: Option<String>,
    /// When its whole process tree is ended.
    pub timeout: Duration,
    /// How often it is tried.
    pub retry: Option<Retry>,
    /// `if:`; sees `steps` besides what `when` sees.
    pub condition: Option<Condition>,
    /// May be rerun after a crash.
    pub idempotent: bool,
    /// A failure does not end the run.
    pub continue_on_error: bool,
    /// What it does.
    pub action: Action,
    /// Where it stands.
    pub place: Place,
}

impl Step {
    /// Whether it may be done again without harm where nobody knows how far it came. An `each` may where it says so
    /// itself, or where all its steps do.
    pub fn may_be_repeated(&self) -> bool {
        let each_step_may = match &self.action {
            Action::Each(each) => each.steps.iter().all(|step| step.may_be_repeated()),
            _ => false,
        };
        self.idempotent || each_step_may
    }
}

/// Tries of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many tries in all, the first included.
    pub attempts: u32,
    /// The wait after the first failure; doubled after each further one, and jittered.
    pub backoff: Duration,
}

/// The kinds of step.
#[derive(Debug, Clone)]
pub enum Action {
    /// A program with its arguments, no shell.
    Run(RunSpec),
    /// Text for `/bin/sh -eu`.
    Shell(ShellSpec),
    /// An HTTP request.
    Http(Box<HttpSpec>),
    /// A program or script on another host.
    Ssh(Box<SshSpec>),
    /// Calls that change the incident in Flashduty, queued together in this order. Never empty.
    Flashduty(Vec<FlashdutySpec>),
    /// A pause.
    Wait(Duration),
    /// Steps for one item of a list after the other.
    Each(Box<EachSpec>),
}

/// What a process gets on standard input.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// The event's JSON.
    Event,
    /// Nothing.
    None,
    /// This text.
    Text(Template),
}

/// What `run` and `shell` have in common.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// Further environment variables.
    pub env: Vec<(String, Template)>,
    /// Standard input.
    pub stdin: Stdin,
    /// Working folder, absolute; the config file's folder unless the step says otherwise.
    pub cwd: PathBuf,
    /// The account it runs as.
    pub user: Option<String>,
    /// Exit codes that count as success.
    pub exit_codes: Vec<i32>,
    /// The program may gain privileges.
    pub allow_sudo: bool,
}

/// `run`.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The program and its arguments, as written. Never empty. The first element is a literal.
    pub argv: Vec<Template>,
    /// The program as an absolute path: a relative one was resolved at the config file's folder, a bare name
    /// on the fixed `PATH`.
    pub program: PathBuf,
    /// The files of the rules among the program and its arguments, as they were when the rules were loaded.
    pub files: Vec<Arc<Sealed>>,
    /// Where and how it runs.
    pub process: ProcessSpec,
}

/// `shell`.
#[derive(Debug, Clone)]
pub struct ShellSpec {
    /// The script, free of templates.
    pub script: String,
    /// Where and how it runs.
    pub process: ProcessSpec,
}

/// The body of an HTTP request.
#[derive(Debug, Clone)]
pub enum HttpBody {
    /// None.
    Empty,
    /// JSON in which every text may be a template.
    Json(JsonTemplate),
    /// Text.
    Text(Template),
}

/// JSON whose strings are templates.
#[derive(Debug, Clone)]
pub enum JsonTemplate {
    /// A value without text.
    Literal(serde_json::Value),
    /// Text.
    Text(Template),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object; the keys are literal.
    Object(Vec<(String, JsonTemplate)>),
}

/// One call of a `flashduty` step.
#[derive(Debug, Clone)]
pub enum FlashdutySpec {
    /// `comment`.
    Comment(Template),
    /// `ack: true`.
    Ack,
    /// `resolve`.
    Resolve {
        /// Why it came.
        root_cause: Option<Template>,
        /// What helped.
        resolution: Option<Template>,
    },
    /// `snooze`, in minutes.
    Snooze(u16),
    /// `field`.
    Field {
        /// The name of the custom field; literal.
        name: String,
        /// Its value.
        value: JsonTemplate,
    },
    /// `reopen: true`.
    Reopen,
}

impl FlashdutySpec {
    /// Its word in the rule language.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Comment(_) => "comment",
            Self::Ack => "ack",
            Self::Resolve { .. } => "resolve",
            Self::Snooze(_) => "snooze",
            Self::Field { .. } => "field",
            Self::Reopen => "reopen",
        }
    }
}

/// A status that counts as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// `2xx`: the first digit.
    Class(u16),
    /// One code.
    Code(u16),
}

impl StatusPattern {
    /// Whether `status` counts.
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Class(first) => status / 100 == first,
            Self::Code(code) => status == code,
        }
    }
}

/// `http`.
#[derive(Debug, Clone)]
pub struct HttpSpec {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD`.
    pub method: String,
    /// The URL; scheme, host and port are literal, a value becomes one percent-encoded segment.
    pub url: Template,
    /// `host:port`, checked against the config's list at load and once more before the request is made.
    pub authority: String,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// Query parameters.
    pub query: Vec<(String, Template)>,
    /// The body.
    pub body: HttpBody,
    /// Statuses that count as success.
    pub expect_status: Vec<StatusPattern>,
    /// A condition on `response.status`, `.body`, `.json`, `.headers`.
    pub expect_when: Option<Condition>,
}

/// `ssh`.
#[derive(Debug, Clone)]
pub struct SshSpec {
    /// A name, an alias of the SSH config, or an address.
    pub host: Template,
    /// The account there; the SSH config's where it is not written.
    pub user: Option<Template>,
    /// The port; the SSH config's where it is not written.
    pub port: Option<Template>,
    /// What is done there.
    pub command: RemoteSpec,
    /// Further environment variables.
    pub env: Vec<(String, Template)>,
    /// Standard input.
    pub stdin: Stdin,
    /// Exit codes that count as success.
    pub exit_codes: Vec<i32>,
}

/// What is done on another host.
#[derive(Debug, Clone)]
pub enum RemoteSpec {
    /// A program there with its arguments. Never empty. The first element is a literal.
    Run(Vec<Template>),
    /// Text for its `sh -eu`, free of templates.
    Shell(String),
}

/// `each`.
#[derive(Debug, Clone)]
pub struct EachSpec {
    /// What gives the list.
    pub items: Items,
    /// The name by which the steps know their item.
    pub name: String,
    /// How many items are worked on at a time.
    pub batch: usize,
    /// How many may fail before no further batch is begun.
    pub tolerance: usize,
    /// What is done with each. Never holds another `each`.
    pub steps: Vec<std::sync::Arc<Step>>,
}

/// What gives the list of an `each`.
#[derive(Debug, Clone)]
pub enum Items {
    /// A script whose value is a list; sees what `when` sees.
    Script(Condition),
    /// The items as written.
    Written(Vec<Template>),
}
