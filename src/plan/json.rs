//! Plans as JSON, in the shape of the rule language: what dry-run shows, the journal records and tests compare.
//!
//! A step reads like the one in the rule file with the values filled in; what is at its default is left out. One that
//! waits for its turn shows its templates and `"deferred": true`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Call, EachCall, HttpCall, HttpCallBody, Plan, PlannedStep, ProcessCall, RemoteCall, SshCall, StdinCall, flashduty,
};
use crate::rule::duration;
use crate::rule::step::{
    Action, DEFAULT_TIMEOUT, EACH_TIMEOUT, HttpBody, HttpSpec, JsonTemplate, ProcessSpec, RemoteSpec, SshSpec,
    StatusPattern, Stdin, Step,
};

impl Plan {
    /// `{"target": …, "steps": […]}`.
    pub fn to_json(&self) -> Value {
        json!({ "target": self.target, "steps": self.steps.iter().map(PlannedStep::to_json).collect::<Vec<_>>() })
    }
}

impl PlannedStep {
    /// The step as it stands in [`Plan::to_json`].
    pub fn to_json(&self) -> Value {
        let mut shown = match &self.call {
            Some(call) => call.shown(&self.spec.action),
            None => deferred(&self.spec.action),
        };
        common(&self.spec, &mut shown);
        Value::Object(shown)
    }
}

impl Call {
    /// The call alone, without what all steps have in common.
    pub fn to_json(&self) -> Value {
        let mut shown = Map::new();
        match self {
            Self::Run(run) => {
                shown.insert("run".into(), json!(run.argv));
                process(&run.process, &mut shown);
            }
            Self::Shell(shell) => {
                shown.insert("shell".into(), json!(shell.script));
                process(&shell.process, &mut shown);
            }
            Self::Http(http) => {
                shown.insert("http".into(), Value::Object(request(http)));
            }
            Self::Ssh(ssh) => {
                shown.insert("ssh".into(), Value::Object(remote(ssh)));
            }
            Self::Each(each) => {
                shown.insert("each".into(), Value::Object(items(each)));
            }
            Self::Flashduty(call) => {
                shown.insert("flashduty".into(), flashduty::shown(call));
            }
            Self::Wait(time) => {
                shown.insert("wait".into(), duration::show(*time).into());
            }
        }
        Value::Object(shown)
    }

    fn shown(&self, action: &Action) -> Map<String, Value> {
        let mut shown = match self.to_json() {
            Value::Object(shown) => shown,
            _ => Map::new(),
        };
        if let (Some(Value::Object(http)), Action::Http(spec)) = (shown.get_mut("http"), action) {
            expectations(spec, http);
        }
        shown
    }
}

/// What every kind of step may have.
fn common(step: &Step, shown: &mut Map<String, Value>) {
    if let Some(name) = &step.name {
        shown.insert("name".into(), json!(name));
    }
    let default = match step.action {
        Action::Wait(_) => step.timeout,
        Action::Each(_) => EACH_TIMEOUT,
        _ => DEFAULT_TIMEOUT,
    };
    if step.timeout != default {
        shown.insert("timeout".into(), duration::show(step.timeout).into());
    }
    if let Some(retry) = step.retry {
        shown.insert("retry".into(), json!({ "attempts": retry.attempts, "backoff": duration::show(retry.backoff) }));
    }
    if let Some(condition) = &step.condition {
        shown.insert("if".into(), condition.source().into());
    }
    for (name, is_set) in [("idempotent", step.idempotent), ("continue_on_error", step.continue_on_error)] {
        if is_set {
            shown.insert(name.into(), true.into());
        }
    }
}

fn process(call: &ProcessCall, shown: &mut Map<String, Value>) {
    let stdin = given(&call.stdin);
    let env = call.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (cwd, user) = (&call.cwd, call.user.as_deref());
    Surroundings { stdin, cwd, user, exit_codes: &call.exit_codes, allow_sudo: call.allow_sudo }.show(env, shown);
}

/// Standard input where it is not at its default.
fn given(stdin: &StdinCall) -> Option<&str> {
    match stdin {
        StdinCall::Event => None,
        StdinCall::None => Some("none"),
        StdinCall::Text(text) => Some(text.as_str()),
    }
}

/// What `run` and `shell` have in common, rendered or not.
struct Surroundings<'a> {
    stdin: Option<&'a str>,
    cwd: &'a Path,
    user: Option<&'a str>,
    exit_codes: &'a [i32],
    allow_sudo: bool,
}

impl Surroundings<'_> {
    /// The working folder is always shown, because its default is the config's and not the step's.
    fn show<'e>(&self, env: impl Iterator<Item = (&'e str, &'e str)>, shown: &mut Map<String, Value>) {
        pairs("env", env, shown);
        if let Some(stdin) = self.stdin {
            shown.insert("stdin".into(), stdin.into());
        }
        shown.insert("cwd".into(), self.cwd.display().to_string().into());
        if let Some(user) = self.user {
            shown.insert("user".into(), user.into());
        }
        if self.exit_codes != [0] {
            shown.insert("exit_codes".into(), json!(self.exit_codes));
        }
        if self.allow_sudo {
            shown.insert("allow_sudo".into(), true.into());
        }
    }
}

fn request(call: &HttpCall) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("method".into(), json!(call.method));
    shown.insert("url".into(), json!(call.url));
    pairs("headers", call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())), &mut shown);
    match &call.body {
        None => {}
        Some(HttpCallBody::Json(body)) => {
            shown.insert("json".into(), body.clone());
        }
        Some(HttpCallBody::Text(body)) => {
            shown.insert("body".into(), json!(body));
        }
    }
    shown
}

fn remote(call: &SshCall) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("host".into(), json!(call.host));
    shown.extend(call.user.as_ref().map(|user| ("user".into(), json!(user))));
    shown.extend(call.port.map(|port| ("port".into(), json!(port))));
    match &call.command {
        RemoteCall::Run(argv) => shown.insert("run".into(), json!(argv)),
        RemoteCall::Shell(script) => shown.insert("shell".into(), json!(script)),
    };
    pairs("env", call.env.iter().map(|(name, value)| (name.as_str(), value.as_str())), &mut shown);
    shown.extend(given(&call.stdin).map(|text| ("stdin".into(), text.into())));
    if call.exit_codes != [0] {
        shown.insert("exit_codes".into(), json!(call.exit_codes));
    }
    shown
}

/// An `each` with the items it goes over, and the steps by item.
fn items(call: &EachCall) -> Map<String, Value> {
    let items: Vec<&str> = call.targets.iter().map(|target| target.item.as_str()).collect();
    let steps = call
        .targets
        .iter()
        .map(|target| (target.item.clone(), target.steps.iter().map(PlannedStep::to_json).collect::<Value>()));
    let steps: Map<String, Value> = steps.collect();
    let mut shown = Map::new();
    shown.insert("in".into(), json!(items));
    shown.insert("as".into(), json!(call.name));
    shown.insert("batch".into(), json!(call.batch));
    shown.insert("tolerance".into(), json!(call.tolerance));
    shown.insert("steps".into(), Value::Object(steps));
    shown
}

fn pairs<'a>(key: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>, shown: &mut Map<String, Value>) {
    let pairs: Map<String, Value> = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    if !pairs.is_empty() {
        shown.insert(key.into(), Value::Object(pairs));
    }
}

fn expectations(spec: &HttpSpec, shown: &mut Map<String, Value>) {
    let mut expect = Map::new();
    if spec.expect_status != [StatusPattern::Class(2)] {
        let statuses = spec.expect_status.iter().map(|status| match status {
            StatusPattern::Class(first) => json!(format!("{first}xx")),
            StatusPattern::Code(code) => json!(code),
        });
        expect.insert("status".into(), statuses.collect());
    }
    if let Some(condition) = &spec.expect_when {
        expect.insert("when".into(), condition.source().into());
    }
    if !expect.is_empty() {
        shown.insert("expect".into(), Value::Object(expect));
    }
}

/// A step whose turn has to come first, with its templates as written.
fn deferred(action: &Action) -> Map<String, Value> {
    let mut shown = Map::new();
    match action {
        Action::Run(run) => {
            let argv: Vec<_> = run.argv.iter().map(|argument| argument.source()).collect();
            shown.insert("run".into(), json!(argv));
            unrendered(&run.process, &mut shown);
        }
        Action::Shell(shell) => {
            shown.insert("shell".into(), json!(shell.script));
            unrendered(&shell.process, &mut shown);
        }
        Action::Http(http) => {
            let mut request = Map::new();
            request.insert("method".into(), json!(http.method));
            request.insert("url".into(), json!(http.url.source()));
            pairs("headers", http.headers.iter().map(|(name, value)| (name.as_str(), value.source())), &mut request);
            pairs("query", http.query.iter().map(|(name, value)| (name.as_str(), value.source())), &mut request);
            match &http.body {
                HttpBody::Empty => {}
                HttpBody::Json(body) => {
                    request.insert("json".into(), source(body));
                }
                HttpBody::Text(body) => {
                    request.insert("body".into(), json!(body.source()));
                }
            }
            expectations(http, &mut request);
            shown.insert("http".into(), Value::Object(request));
        }
        Action::Ssh(ssh) => {
            shown.insert("ssh".into(), Value::Object(unrendered_remote(ssh)));
        }
        // An `each` is never for later, only steps inside it are.
        Action::Each(each) => {
            shown.insert("each".into(), json!({ "as": each.name }));
        }
        Action::Flashduty(calls) => {
            shown.insert("flashduty".into(), flashduty::shown_unrendered(calls));
        }
        Action::Wait(time) => {
            shown.insert("wait".into(), duration::show(*time).into());
        }
    }
    shown.insert("deferred".into(), true.into());
    shown
}

fn unrendered_remote(spec: &SshSpec) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("host".into(), json!(spec.host.source()));
    shown.extend(spec.user.as_ref().map(|user| ("user".into(), json!(user.source()))));
    shown.extend(spec.port.as_ref().map(|port| ("port".into(), json!(port.source()))));
    match &spec.command {
        RemoteSpec::Run(argv) => {
            let argv: Vec<_> = argv.iter().map(|argument| argument.source()).collect();
            shown.insert("run".into(), json!(argv))
        }
        RemoteSpec::Shell(script) => shown.insert("shell".into(), json!(script)),
    };
    pairs("env", spec.env.iter().map(|(name, value)| (name.as_str(), value.source())), &mut shown);
    shown.extend(written(&spec.stdin).map(|text| ("stdin".into(), text.into())));
    if spec.exit_codes != [0] {
        shown.insert("exit_codes".into(), json!(spec.exit_codes));
    }
    shown
}

fn unrendered(spec: &ProcessSpec, shown: &mut Map<String, Value>) {
    let stdin = written(&spec.stdin);
    let env = spec.env.iter().map(|(name, value)| (name.as_str(), value.source()));
    let (cwd, user) = (&spec.cwd, spec.user.as_deref());
    Surroundings { stdin, cwd, user, exit_codes: &spec.exit_codes, allow_sudo: spec.allow_sudo }.show(env, shown);
}

/// Standard input as written, where it is not at its default.
fn written(stdin: &Stdin) -> Option<&str> {
    match stdin {
        Stdin::Event => None,
        Stdin::None => Some("none"),
        Stdin::Text(text) => Some(text.source()),
    }
}

pub(super) fn source(template: &JsonTemplate) -> Value {
    match template {
        JsonTemplate::Literal(value) => value.clone(),
        JsonTemplate::Text(text) => text.source().into(),
        JsonTemplate::List(items) => items.iter().map(source).collect(),
        JsonTemplate::Object(entries) => entries.iter().map(|(name, value)| (name.clone(), source(value))).collect(),
    }
}
