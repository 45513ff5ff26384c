//! The names of steps that conditions of later steps speak of: a misspelt one would skip a step, or fail a run, only
//! when it is too late.

use std::sync::Arc;

use super::{Reader, script};
use crate::rule::diagnostic::codes;
use crate::rule::step::Step;
use crate::rule::yaml::fields::{key_text, suggestion};
use crate::rule::yaml::{Kind, Node};

/// What is known of a step that was done.
const RESULTS: &[&str] = &["ok", "exit_code", "status", "stdout", "stderr", "json"];

/// Checks the `if` of each step of a list. `before` are the names of the steps that come before the list.
pub(super) fn check(reader: &Reader<'_>, list: Option<&Node>, steps: &[Arc<Step>], before: &[&str]) {
    let Some(Kind::List(nodes)) = list.map(|node| &node.kind) else { return };
    // Of a list with an error some steps are missing here; the error is told.
    if nodes.len() != steps.len() {
        return;
    }
    let mut known = before.to_vec();
    for (node, step) in nodes.iter().zip(steps) {
        if let Some(condition) = &step.condition {
            for (path, line, column) in condition.paths() {
                let Some(named) = path.strip_prefix("steps.") else { continue };
                if let Some((message, hint)) = problem(named, &known) {
                    let span = match written(node) {
                        Some(text) => {
                            let source = condition.source();
                            reader.doc.inside(text, script::offset_of(source, *line, *column))
                        }
                        None => node.head(),
                    };
                    reader.doc.error_hint(codes::UNKNOWN_STEP, span, message, hint);
                }
            }
        }
        known.extend(step.name.as_deref());
    }
}

/// The value of `if`.
fn written(step: &Node) -> Option<&Node> {
    let Kind::Map(entries) = &step.kind else { return None };
    entries.iter().find(|(key, _)| key_text(key) == Some("if")).map(|(_, value)| value)
}

/// What is wrong with `steps.NAMED`, where nothing after `steps.` shows where a name with dots ends.
fn problem(named: &str, known: &[&str]) -> Option<(String, String)> {
    let result = known.iter().filter_map(|name| {
        let rest = named.strip_prefix(name)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
    });
    let results: Vec<&str> = result.map(|rest| rest.split('.').next().unwrap_or_default()).collect();
    if results.iter().any(|result| result.is_empty() || RESULTS.contains(result)) {
        return None;
    }
    if let Some(result) = results.first() {
        return Some((format!("a step has no `{result}`"), suggestion(result, RESULTS)));
    }
    let name = named.rsplit_once('.').filter(|(_, result)| RESULTS.contains(result)).map_or(named, |(name, _)| name);
    let hint = match known {
        [] => "no step with a `name` comes before this one".to_owned(),
        known => suggestion(name, known),
    };
    Some((format!("no step before this one is named `{name}`"), hint))
}
