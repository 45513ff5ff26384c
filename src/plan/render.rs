//! Rendering a rule's target and steps for one event.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::each::{EachItems, each};
use super::{
    Call, HttpCall, HttpCallBody, Plan, PlannedStep, ProcessCall, RunCall, ShellCall, StdinCall, flashduty, remote,
};
use crate::clock::Timestamp;
use crate::event::Entity;
use crate::rule::Rule;
use crate::rule::step::{
    Action, FlashdutySpec, HttpBody, HttpSpec, JsonTemplate, ProcessSpec, RemoteSpec, Stdin, Step,
};
use crate::rule::template::{Template, TemplateNames};
use crate::rule::view::EventView;

/// The longest target, in characters. It becomes part of keys, log lines and file names of far systems.
pub const TARGET_CHARS_MAX: usize = 256;
/// From this many bytes on the kernel refuses an argument or a variable (`MAX_ARG_STRLEN`, the closing NUL counted).
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024;
/// The names that exist only once steps have run. What reads them is rendered at its turn.
const LATER: &[&str] = &["steps", "run"];
/// What stays as it is in a query parameter: the unreserved characters of RFC 3986.
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a rule could not be rendered for an event. Nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// Which step, from 0; `None` for the target, and where a single step was rendered.
    pub step: Option<usize>,
    /// The step's name, where it has one.
    pub name: Option<String>,
    /// Which part: `target`, `run[2]`, `env.TOKEN`, `http.url`.
    pub field: String,
    /// Why.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "steps[{step}]")?;
            if let Some(name) = &self.name {
                write!(f, " ({name})")?;
            }
            f.write_str(", ")?;
        }
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl PlanError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { step: None, name: None, field: field.into(), message: message.into() }
    }
}

/// What `steps` would do for the event and target; `items` are what their `each` go over. A step that reads what
/// earlier steps led to is left for its turn.
///
/// # Errors
/// The first template that cannot be rendered, and everything that [`render_step`] refuses.
pub fn steps(
    steps: &[Arc<Step>],
    items: &EachItems,
    view: &EventView<'_>,
    target: &str,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    let names = TemplateNames { view, target: Some(target), now, names: &[] };
    let mut all = Vec::with_capacity(steps.len());
    for (at, spec) in steps.iter().enumerate() {
        let step = planned(spec, items.of_step(at), &names);
        all.push(step.map_err(|error| PlanError { step: Some(at), name: spec.name.clone(), ..error })?);
    }
    Ok(Plan { target: target.to_owned(), steps: all })
}

/// One step of a plan, rendered unless it has to wait for its turn.
pub(super) fn planned(spec: &Arc<Step>, items: &[String], names: &TemplateNames<'_>) -> Result<PlannedStep, PlanError> {
    let call = match &spec.action {
        Action::Each(each_spec) => Some(Call::Each(Arc::new(each(each_spec, items, names)?))),
        // What cannot be done whatever the steps before it say is known now.
        Action::Flashduty(_) if names.view.event().incident_id.is_none() => return Err(flashduty::no_incident()),
        _ if is_for_later(spec) => None,
        _ => Some(render_step(spec, names)?),
    };
    Ok(PlannedStep { spec: Arc::clone(spec), call })
}

/// What `rule` would act on: its rendered `target`, else the incident of the event, else its alert.
///
/// # Errors
/// A target that is empty, `*` or `all`, holds control characters or is longer than [`TARGET_CHARS_MAX`]: an empty
/// selector must never come to mean everything.
pub fn target(rule: &Rule, view: &EventView<'_>, now: Timestamp) -> Result<String, PlanError> {
    let event = view.event();
    let target = match (&rule.target, &event.incident_id) {
        (Some(template), _) => {
            let names = TemplateNames { view, target: None, now, names: &[] };
            template.render(&names).map_err(|error| PlanError::new("target", error.message))?
        }
        (None, Some(incident)) => Entity::Incident(incident.clone()).to_string(),
        (None, None) => event.entity.to_string(),
    };
    match target_fault("the target", &target) {
        Some(fault) => Err(PlanError::new("target", fault)),
        None => Ok(target),
    }
}

/// Why something cannot be acted upon, if it cannot; `what` is what it is called.
pub(super) fn target_fault(what: &str, target: &str) -> Option<String> {
    match target.trim() {
        "" => Some(format!("{what} is empty")),
        "*" => Some(format!("{what} is `*`, which would mean everything")),
        word if word.eq_ignore_ascii_case("all") => Some(format!("{what} is `all`, which would mean everything")),
        _ if target.chars().any(char::is_control) => Some(format!("{what} holds control characters")),
        _ if target.chars().count() > TARGET_CHARS_MAX => {
            Some(format!("{what} is longer than {TARGET_CHARS_MAX} characters"))
        }
        _ => None,
    }
}

/// Whether a template of the step reads what only running steps can tell.
fn is_for_later(step: &Step) -> bool {
    let mut later = false;
    visit(&step.action, &mut |template| later |= LATER.iter().any(|root| template.mentions(root)));
    later
}

/// Shows `look` every template of an action.
fn visit(action: &Action, look: &mut impl FnMut(&Template)) {
    fn process(env: &[(String, Template)], stdin: &Stdin, look: &mut impl FnMut(&Template)) {
        env.iter().for_each(|(_, value)| look(value));
        if let Stdin::Text(text) = stdin {
            look(text);
        }
    }
    fn json(value: &JsonTemplate, look: &mut impl FnMut(&Template)) {
        match value {
            JsonTemplate::Literal(_) => {}
            JsonTemplate::Text(text) => look(text),
            JsonTemplate::List(items) => items.iter().for_each(|item| json(item, look)),
            JsonTemplate::Object(entries) => entries.iter().for_each(|(_, value)| json(value, look)),
        }
    }
    match action {
        Action::Run(run) => {
            run.argv.iter().for_each(&mut *look);
            process(&run.process.env, &run.process.stdin, look);
        }
        Action::Shell(shell) => process(&shell.process.env, &shell.process.stdin, look),
        Action::Http(http) => {
            look(&http.url);
            http.headers.iter().chain(&http.query).for_each(|(_, value)| look(value));
            match &http.body {
                HttpBody::Empty => {}
                HttpBody::Json(body) => json(body, look),
                HttpBody::Text(text) => look(text),
            }
        }
        Action::Flashduty(calls) => {
            for call in calls {
                match call {
                    FlashdutySpec::Comment(comment) => look(comment),
                    FlashdutySpec::Resolve { root_cause, resolution } => {
                        root_cause.iter().chain(resolution).for_each(&mut *look);
                    }
                    FlashdutySpec::Field { value, .. } => json(value, look),
                    FlashdutySpec::Ack | FlashdutySpec::Snooze(_) | FlashdutySpec::Reopen => {}
                }
            }
        }
        Action::Ssh(ssh) => {
            look(&ssh.host);
            ssh.user.iter().chain(&ssh.port).for_each(&mut *look);
            if let RemoteSpec::Run(argv) = &ssh.command {
                argv.iter().for_each(&mut *look);
            }
            process(&ssh.env, &ssh.stdin, look);
        }
        // Its steps are looked at one by one, for each item.
        Action::Wait(_) | Action::Each(_) => {}
    }
}

/// One step, rendered with `names`.
///
/// # Errors
/// A template that cannot be rendered; a NUL, or [`ARGUMENT_BYTES_MAX`] bytes, in an argument or a variable; a control
/// character in a header.
pub fn render_step(step: &Step, names: &TemplateNames<'_>) -> Result<Call, PlanError> {
    Ok(match &step.action {
        Action::Run(run) => {
            let argv = run.argv.iter().enumerate().map(|(at, argument)| {
                let field = || format!("run[{at}]");
                passable(render(argument, names, field)?, 0, field)
            });
            Call::Run(RunCall {
                argv: argv.collect::<Result<_, _>>()?,
                program: run.program.clone(),
                files: run.files.clone(),
                process: process(&run.process, names)?,
            })
        }
        Action::Shell(shell) => Call::Shell(ShellCall {
            // It becomes an argument of `/bin/sh`.
            script: passable(shell.script.clone(), 0, || "shell".into())?,
            process: process(&shell.process, names)?,
        }),
        Action::Http(http) => Call::Http(request(http, names)?),
        Action::Flashduty(calls) => Call::Flashduty(flashduty::render(calls, names)?),
        Action::Ssh(ssh) => Call::Ssh(Box::new(remote::ssh(ssh, names)?)),
        Action::Each(_) => return Err(PlanError::new("each", "its list has to be known before the run starts")),
        Action::Wait(time) => Call::Wait(*time),
    })
}

pub(super) fn render(
    template: &Template,
    names: &TemplateNames<'_>,
    field: impl FnOnce() -> String,
) -> Result<String, PlanError> {
    template.render(names).map_err(|error| PlanError::new(field(), error.message))
}

/// `text`, if the kernel takes it as an argument or as the value of a variable whose name and `=` have `before` bytes.
pub(super) fn passable(text: String, before: usize, field: impl FnOnce() -> String) -> Result<String, PlanError> {
    if text.contains('\0') {
        return Err(PlanError::new(field(), "it holds a NUL, which no program can be given"));
    }
    if before + text.len() >= ARGUMENT_BYTES_MAX {
        let message = format!("it has {ARGUMENT_BYTES_MAX} bytes or more, which is more than the system takes");
        return Err(PlanError::new(field(), message));
    }
    Ok(text)
}

fn process(spec: &ProcessSpec, names: &TemplateNames<'_>) -> Result<ProcessCall, PlanError> {
    Ok(ProcessCall {
        env: variables(&spec.env, names, "env")?,
        stdin: stdin(&spec.stdin, names, "stdin")?,
        cwd: spec.cwd.clone(),
        user: spec.user.clone(),
        exit_codes: spec.exit_codes.clone(),
        allow_sudo: spec.allow_sudo,
    })
}

/// Declared variables, rendered.
pub(super) fn variables(
    env: &[(String, Template)],
    names: &TemplateNames<'_>,
    what: &str,
) -> Result<BTreeMap<String, String>, PlanError> {
    let rendered = env.iter().map(|(name, value)| {
        let field = || format!("{what}.{name}");
        Ok((name.clone(), passable(render(value, names, field)?, name.len() + 1, field)?))
    });
    rendered.collect()
}

/// Standard input, rendered.
pub(super) fn stdin(spec: &Stdin, names: &TemplateNames<'_>, what: &str) -> Result<StdinCall, PlanError> {
    Ok(match spec {
        Stdin::Event => StdinCall::Event,
        Stdin::None => StdinCall::None,
        Stdin::Text(text) => StdinCall::Text(render(text, names, || what.to_owned())?),
    })
}

fn request(spec: &HttpSpec, names: &TemplateNames<'_>) -> Result<HttpCall, PlanError> {
    let mut url = render(&spec.url, names, || "http.url".into())?;
    let fragment = url.find('#').map(|at| url.split_off(at));
    for (name, value) in &spec.query {
        let value = render(value, names, || format!("http.query.{name}"))?;
        url.push(if url.contains('?') { '&' } else { '?' });
        url.extend(utf8_percent_encode(name, PARAMETER));
        url.push('=');
        url.extend(utf8_percent_encode(&value, PARAMETER));
    }
    url.extend(fragment);
    let headers = spec.headers.iter().map(|(name, value)| {
        let value = render(value, names, || format!("http.headers.{name}"))?;
        // A line break would begin a header of the event's choosing.
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(PlanError::new(format!("http.headers.{name}"), "it holds control characters"));
        }
        Ok((name.clone(), value))
    });
    Ok(HttpCall {
        method: spec.method.clone(),
        headers: headers.collect::<Result<_, _>>()?,
        authority: spec.authority.clone(),
        body: match &spec.body {
            HttpBody::Empty => None,
            HttpBody::Json(body) => Some(HttpCallBody::Json(json(body, names, "http.json")?)),
            HttpBody::Text(text) => Some(HttpCallBody::Text(render(text, names, || "http.body".into())?)),
        },
        url,
    })
}

pub(super) fn json(template: &JsonTemplate, names: &TemplateNames<'_>, field: &str) -> Result<Value, PlanError> {
    Ok(match template {
        JsonTemplate::Literal(value) => value.clone(),
        JsonTemplate::Text(text) => Value::String(render(text, names, || field.to_owned())?),
        JsonTemplate::List(items) => {
            let items = items.iter().enumerate().map(|(at, item)| json(item, names, &format!("{field}[{at}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        JsonTemplate::Object(entries) => {
            let entries =
                entries.iter().map(|(name, value)| Ok((name.clone(), json(value, names, &format!("{field}.{name}"))?)));
            Value::Object(entries.collect::<Result<_, PlanError>>()?)
        }
    })
}
