//! Rhai conditions and templates inside YAML, with their problems shown where they are written.

use super::scope::UnknownStep;
use super::{Reader, paths};
use crate::rule::diagnostic::codes;
use crate::rule::sandbox::Condition;
use crate::rule::template::{Template, TemplateKind};
use crate::rule::yaml::{Kind, Node, Style};

/// Compiles a condition.
pub(super) fn condition(reader: &Reader<'_>, node: &Node, what: &str) -> Option<Condition> {
    let doc = reader.doc;
    let text = match &node.kind {
        Kind::Bool(true) => "true",
        Kind::Bool(false) => "false",
        _ => doc.text(node, what)?,
    };
    if let Kind::Text { style: Style::Folded, .. } = node.kind {
        doc.error_hint(
            codes::FOLDED_SCRIPT,
            doc.to_line_end(node.span.start),
            format!("{what} is code in a folded block, where places would be lost"),
            "use `|` instead of `>`",
        );
        return None;
    }
    if !reader.refuse_unless_authored(node, text, what) {
        return None;
    }
    let mut known = reader.cx.conditions.borrow_mut();
    let item = reader.scope.item;
    let compiled = known
        .entry((item.map(str::to_owned), text.to_owned()))
        .or_insert_with(|| reader.cx.sandbox.compile_or_every_problem(text, item));
    match compiled {
        Ok(condition) => {
            for (path, line, column) in condition.paths() {
                if let Some(problem) = reader.scope.unknown_step(path) {
                    report(reader, doc.inside(node, offset_of(text, *line, *column)), what, &problem);
                }
            }
            if !matches!(node.kind, Kind::Bool(_)) {
                paths::of_condition(reader, node, text, condition);
            }
            Some(condition.clone())
        }
        Err(problems) => {
            for error in problems {
                let span = match (error.line, node.kind == Kind::Bool(true)) {
                    (Some(line), false) => doc.inside(node, offset_of(text, line, error.column.unwrap_or(1))),
                    _ => node.head(),
                };
                doc.error(codes::INVALID_SCRIPT, span, format!("{what}: {}", error.message));
            }
            None
        }
    }
}

/// Warns of a condition that gives the same for every event.
pub(super) fn warn_of_constant(reader: &Reader<'_>, node: &Node, condition: &Condition) {
    let (given, hint) = match condition.constant(reader.cx.sandbox) {
        Some(true) => ("true", "it adds nothing to `match`: remove it"),
        Some(false) => ("false", "the rule would never do anything; to set a rule aside write `mode: off`"),
        None => return,
    };
    let message = format!("`when` is {given} for every event");
    reader.doc.warn(codes::CONSTANT_CONDITION, node.head(), message, hint);
}

/// The byte at a one-based line and column (in characters) of a text.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for part in text.split_inclusive('\n').take(line.saturating_sub(1)) {
        start += part.len();
    }
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    // Code that ends too early is shown at its last character, not on the line behind it.
    let last = text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
    (start + within).min(last)
}

/// Reads a template from text.
pub(super) fn template(reader: &Reader<'_>, node: &Node, what: &str, kind: TemplateKind) -> Option<Template> {
    let text = reader.doc.text(node, what)?;
    parse(reader, node, text, what, kind)
}

/// Reads a template from text, or from a number or bool as it is written; the text may be empty.
pub(super) fn argument(reader: &Reader<'_>, node: &Node, what: &str) -> Option<Template> {
    let text = reader.doc.argument(node, what)?;
    parse(reader, node, text, what, TemplateKind::Text)
}

/// Checks the text of `node` as a template. What a function returned is a value already, and never parsed as one.
pub(super) fn parse(reader: &Reader<'_>, node: &Node, text: &str, what: &str, kind: TemplateKind) -> Option<Template> {
    if reader.cx.is_returned {
        let from_event = !reader.is_authored(text);
        if !from_event && text.contains("{{") {
            reader.doc.error_hint(
                codes::INVALID_TEMPLATE,
                node.span.clone(),
                format!("{what} holds a template, and what a function returns is not rendered"),
                "put the value itself into the text",
            );
            return None;
        }
        return Some(Template::data(text, kind, from_event));
    }
    match Template::parse(text, kind) {
        Ok(template) => {
            for path in template.names() {
                if let Some(problem) = reader.scope.unknown_step(path) {
                    report(reader, reader.doc.inside(node, place_of(text, path)), what, &problem);
                }
            }
            paths::of_template(reader, node, text, what, &template);
            Some(template)
        }
        Err(error) => {
            let span = reader.doc.inside(node, error.offset);
            reader.doc.error(codes::INVALID_TEMPLATE, span, format!("{what}: {}", error.message));
            None
        }
    }
}

/// Says that a step is named which has not run there.
fn report(reader: &Reader<'_>, span: std::ops::Range<usize>, what: &str, problem: &UnknownStep) {
    reader.doc.error_hint(codes::UNKNOWN_STEP, span, format!("{what}: {}", problem.message), problem.hint.clone());
}

/// The byte at which a template reads `path`, which begins with `steps`: where that name is followed by the step's.
fn place_of(text: &str, path: &str) -> usize {
    let step = path.split('.').nth(1).unwrap_or_default();
    let mut places = text.match_indices("steps").map(|(at, _)| at);
    let is_it = |at: &usize| {
        let rest = text.get(at + "steps".len()..).unwrap_or_default();
        rest.trim_start_matches(['.', '[', '"', '\'', ' ']).starts_with(step)
    };
    places.clone().find(is_it).or_else(|| places.next()).unwrap_or(0)
}
