//! One step: what all kinds have in common, and the choice of the kind.

use std::time::Duration;

use super::{Reader, each, flashduty, http, process, script, ssh};
use crate::rule::diagnostic::codes;
use crate::rule::step::{Action, DEFAULT_TIMEOUT, EACH_TIMEOUT, Retry, Step};
use crate::rule::yaml::fields::{Fields, key_text};
use crate::rule::yaml::{Kind, Node};

/// The keys that say what a step does.
const KINDS: &[&str] = &["run", "shell", "http", "ssh", "flashduty", "each", "wait"];
/// How often a step may be tried; more would keep a run, and its locks, for too long.
const RETRY_ATTEMPTS_MAX: i64 = 20;
/// The wait after the first failure unless `retry.backoff` says otherwise.
const RETRY_BACKOFF: Duration = Duration::from_secs(5);
/// What a `wait` step may take beyond its own time.
const WAIT_MARGIN: Duration = Duration::from_secs(5);

/// The name of a step, so that its list can tell whether it is taken.
pub(super) fn name_node(node: &Node) -> Option<(&str, &Node)> {
    let Kind::Map(entries) = &node.kind else { return None };
    let (_, value) = entries.iter().find(|(key, _)| key_text(key) == Some("name"))?;
    match &value.kind {
        Kind::Text { text, .. } => Some((text, value)),
        _ => None,
    }
}

/// Reads a step; `None` where it has no usable action.
pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<Step> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "the step")?;
    let name = reader.free_text(&fields, "name");
    let timeout_node = fields.get("timeout");
    let timeout = timeout_node.and_then(|node| doc.duration(node, "`timeout`"));
    let fields_retry = fields.key("retry").map(Node::head);
    let retry = fields.get("retry").and_then(|node| retry(reader, node));
    let condition = fields.get("if").and_then(|node| script::condition(reader, node, "`if`"));
    let idempotent = reader.flag(&fields, "idempotent");
    let continue_on_error = reader.flag(&fields, "continue_on_error");
    let action = action(reader, &fields);
    fields.close();

    let action = action?;
    let timeout = match (&action, timeout) {
        (Action::Wait(time), None) => DEFAULT_TIMEOUT.max(*time + WAIT_MARGIN),
        (Action::Wait(time), Some(timeout)) if *time >= timeout => {
            let span = timeout_node.map_or_else(|| node.head(), Node::head);
            doc.error(codes::INVALID_VALUE, span, "the step waits longer than its `timeout`");
            timeout
        }
        (Action::Each(_), timeout) => timeout.unwrap_or(EACH_TIMEOUT),
        (_, timeout) => timeout.unwrap_or(DEFAULT_TIMEOUT),
    };
    if let (Action::Each(_), Some(key)) = (&action, fields_retry) {
        let message = "an `each` is not tried again as a whole";
        doc.error_hint(codes::INVALID_VALUE, key, message, "give `retry` to the steps inside it");
    }
    let place = doc.place(node.head().start);
    Some(Step { name, timeout, retry, condition, idempotent, continue_on_error, action, place })
}

/// The one action of the step.
fn action(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Action> {
    let written: Vec<&str> = KINDS.iter().copied().filter(|kind| fields.has(kind)).collect();
    let mut actions = Vec::new();
    if let Some(node) = fields.get("run") {
        actions.extend(process::run(reader, fields, node).map(Action::Run));
    }
    if let Some(node) = fields.get("shell") {
        actions.extend(process::shell(reader, fields, node).map(Action::Shell));
    }
    if let Some(node) = fields.get("http") {
        actions.extend(http::read(reader, node).map(|spec| Action::Http(Box::new(spec))));
    }
    if let Some(node) = fields.get("ssh") {
        actions.extend(ssh::read(reader, node).map(|spec| Action::Ssh(Box::new(spec))));
    }
    if let Some((key, node)) = fields.entry("each") {
        actions.extend(each::read(reader, key, node).map(|spec| Action::Each(Box::new(spec))));
    }
    if let Some((key, node)) = fields.entry("flashduty") {
        actions.extend(flashduty::read(reader, key, node).map(Action::Flashduty));
    }
    if let Some(node) = fields.get("wait") {
        actions.extend(reader.doc.duration(node, "`wait`").map(Action::Wait));
    }
    match written.as_slice() {
        [] => {
            reader.doc.error_hint(
                codes::STEP_KIND,
                fields.head(),
                "the step has no action",
                "give it one of `run`, `shell`, `http`, `ssh`, `flashduty`, `each`, `wait`",
            );
            None
        }
        [_] => actions.pop(),
        kinds => {
            if let Some(key) = kinds.last().and_then(|kind| fields.key(kind)) {
                let message = "the step has more than one action";
                reader.doc.error_hint(codes::STEP_KIND, key.span.clone(), message, "make it two steps");
            }
            None
        }
    }
}

fn retry(reader: &Reader<'_>, node: &Node) -> Option<Retry> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`retry`")?;
    let attempts = fields
        .require("attempts", "say how many tries there are in all: `attempts: 3`")
        .and_then(|node| doc.int(node, "`retry.attempts`", 1..=RETRY_ATTEMPTS_MAX))
        .and_then(|attempts| u32::try_from(attempts).ok());
    let backoff = fields.get("backoff").and_then(|node| doc.duration(node, "`retry.backoff`"));
    fields.close();
    Some(Retry { attempts: attempts?, backoff: backoff.unwrap_or(RETRY_BACKOFF) })
}
