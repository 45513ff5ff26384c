//! Paths of the payload in scripts and templates: a name that is not documented is most likely a slip of the pen.

use std::ops::Range;

use super::{Reader, script};
use crate::event::shape;
use crate::rule::diagnostic::{Severity, codes};
use crate::rule::sandbox::Condition;
use crate::rule::template::Template;
use crate::rule::yaml::Node;
use crate::rule::yaml::fields::{nearest, suggestion};

/// What a step led to, as later scripts and templates see it.
const OF_STEP: &[&str] = &["ok", "exit_code", "status", "stdout", "stderr", "json"];
/// What an answer to a request has.
const OF_RESPONSE: &[&str] = &["status", "body", "json", "headers"];

/// The names with which paths in templates begin.
const ROOTS: &[&str] =
    &["event", "incident", "alert", "alerts", "labels", "fields", "person", "channel", "target", "now", "steps", "run"];

/// A name in a path that is not known where it stands.
struct Slip {
    code: &'static str,
    /// What stands before it, with the dot.
    before: usize,
    name: String,
    message: String,
    hint: String,
}

/// Checks the paths of a condition that `node` holds as `text`.
pub(super) fn of_condition(reader: &Reader<'_>, node: &Node, text: &str, condition: &Condition) {
    for (path, line, column) in condition.paths() {
        if let Some(slip) = slip(reader, path) {
            let at = script::offset_of(text, *line, *column);
            warn(reader, node, text, at, path, &slip);
        }
    }
}

/// Checks the paths of a template that `node` holds as `text`. `what` it is says what it can read.
pub(super) fn of_template(reader: &Reader<'_>, node: &Node, text: &str, what: &str, template: &Template) {
    for path in template.names() {
        if let Some(slip) = unknown_root(reader, path, what).or_else(|| slip(reader, path)) {
            let at = text.find(path.as_str()).unwrap_or_default();
            warn(reader, node, text, at, path, &slip);
        }
    }
}

fn warn(reader: &Reader<'_>, node: &Node, text: &str, at: usize, path: &str, slip: &Slip) {
    let behind = text.get(at..).unwrap_or_default();
    let start = match behind.starts_with(path) {
        true => Some(at + slip.before),
        // It is written in brackets, or with spaces.
        false => behind.find(slip.name.as_str()).map(|found| at + found),
    };
    let span = match start {
        Some(start) => within(reader, node, start..start + slip.name.len()),
        None => reader.doc.inside(node, at),
    };
    // Whether pushes have a field only they can tell; what the steps are is known.
    let severity = if slip.code == codes::UNKNOWN_STEP { Severity::Error } else { Severity::Warning };
    reader.doc.report(severity, slip.code, span, slip.message.clone(), Some(slip.hint.clone()));
}

/// Where a part of a text value is written.
fn within(reader: &Reader<'_>, node: &Node, part: Range<usize>) -> Range<usize> {
    let start = reader.doc.inside(node, part.start).start;
    let end = reader.doc.inside(node, part.end.saturating_sub(1)).end;
    start..end.max(start)
}

/// A path of a template that begins with no name that there ever is. Where it stands nothing could be rendered.
fn unknown_root(reader: &Reader<'_>, path: &str, what: &str) -> Option<Slip> {
    let root = path.split('.').next()?;
    if reader.scope.item == Some(root) {
        return None;
    }
    let (message, hint) = match root {
        "target" if what == "`target`" => {
            ("`target` is not known in itself".to_owned(), "say what it is: `{{ labels.resource }}`".to_owned())
        }
        known if ROOTS.contains(&known) => return None,
        _ => (format!("templates know no name `{root}`, so that nothing can be rendered"), suggestion(root, ROOTS)),
    };
    Some(Slip { code: codes::UNKNOWN_PATH, before: 0, name: root.to_owned(), message, hint })
}

fn slip(reader: &Reader<'_>, path: &str) -> Option<Slip> {
    let (root, rest) = path.split_once('.')?;
    match root {
        "labels" => label(reader, path, rest),
        "steps" => step(reader, rest),
        "response" => of(OF_RESPONSE, "response", rest),
        "event" | "incident" | "alert" => {
            payload(path).or_else(|| path.split_once(".labels.").and_then(|(_, name)| label(reader, path, name)))
        }
        _ => payload(path),
    }
}

fn payload(path: &str) -> Option<Slip> {
    let unknown = shape::unknown_name(path)?;
    let name = unknown.name;
    let hint = documented(&name, &unknown.known);
    Some(Slip {
        code: codes::UNKNOWN_PATH,
        before: unknown.parent.len() + 1,
        message: format!("`{}` has no documented field `{name}`", unknown.parent),
        hint,
        name,
    })
}

/// The documented name that was most likely meant: `severity` is short for `incident_severity`.
pub(crate) fn documented(name: &str, known: &[&'static str]) -> String {
    let short = |candidate: &&'static str| candidate.split_once('_').map(|(_, behind)| (behind, *candidate));
    let long = |near: &str| known.iter().filter_map(short).find(|(behind, _)| *behind == near).map(|(_, long)| long);
    let behind: Vec<&str> = known.iter().filter_map(short).map(|(behind, _)| behind).collect();
    match nearest(name, known).or_else(|| nearest(name, &behind).and_then(long)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "if pushes have it nonetheless, `get(map, \"path\", default)` reads it without this warning".to_owned(),
    }
}

fn label(reader: &Reader<'_>, path: &str, name: &str) -> Option<Slip> {
    let meant = reader.cx.seen.label_instead_of(name)?;
    Some(Slip {
        code: codes::UNKNOWN_LABEL,
        before: path.len() - name.len(),
        name: name.to_owned(),
        message: format!("no push in the journal has a label `{name}`"),
        hint: format!("did you mean `{meant}`?"),
    })
}

fn step(reader: &Reader<'_>, rest: &str) -> Option<Slip> {
    // A step that has not run is told as an error, by its scope.
    let (name, behind) = reader.scope.step_in(rest)?;
    let mut found = of(OF_STEP, &format!("steps.{name}"), behind)?;
    found.code = codes::UNKNOWN_STEP;
    found.hint = documented(&found.name, OF_STEP);
    Some(found)
}

/// Checks the first name of `rest` against those that `parent` has.
fn of(known: &'static [&'static str], parent: &str, rest: &str) -> Option<Slip> {
    let name = rest.split('.').next().unwrap_or(rest);
    if known.contains(&name) {
        return None;
    }
    Some(Slip {
        code: codes::UNKNOWN_PATH,
        before: parent.len() + 1,
        name: name.to_owned(),
        message: format!("`{parent}` has no `{name}`"),
        hint: documented(name, known),
    })
}
