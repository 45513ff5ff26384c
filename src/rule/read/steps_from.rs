//! `steps_from`: steps that a function of a script returns for an event.
//!
//! # Theory of operation
//!
//! The function is known when the rules are loaded; what it returns is read for each event, by the readers that read
//! rule files, from a tree that is made of the returned value. So it is the same language with the same checks, and a
//! problem names its place in the value.
//!
//! A returned value is data. No text in it is parsed as a template, whatever an event put there. And since nobody can
//! tell by looking at a text whether an event had a part in it, what is code (a shell's text, a condition, what stands
//! behind `-c`), what is run, and what names a URL or a variable must stand in some script as it is: an event can then
//! choose among the texts of an author, and never write one.
//!
//! Reading a value looks at no file: the programs that the texts of scripts name were looked up when the rules were
//! loaded.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::program::Known;
use super::{Context, Reader, Scope, body};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::rule::Place;
use crate::rule::diagnostic::{Severity, codes};
use crate::rule::sandbox::{Condition, Extra, Sandbox};
use crate::rule::step::Step;
use crate::rule::view::EventView;
use crate::rule::vocabulary::Vocabulary;
use crate::rule::yaml::doc::Doc;
use crate::rule::yaml::{Kind, Node, Style};

/// The function that returns a rule's steps.
#[derive(Debug)]
pub struct StepsFrom {
    /// `NAME::function`, as it is written.
    pub function: String,
    call: Condition,
    place: Place,
    later: Arc<Later>,
}

/// What reading a returned value needs; all rules of a set share one.
#[derive(Debug)]
pub(super) struct Later {
    config: Config,
    programs: Arc<Known>,
}

/// Reads `steps_from`.
pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<Arc<StepsFrom>> {
    let doc = reader.doc;
    let text = doc.text(node, "`steps_from`")?;
    let Some((module, function)) = text.split_once("::") else {
        let message = format!("`{text}` names no function");
        let hint = "write NAME::function for the function of scripts/NAME.rhai";
        doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
        return None;
    };
    match reader.cx.sandbox.compile_call(module, function) {
        Ok(call) => {
            let later = reader.cx.later.get_or_init(|| Arc::new(Later::new(reader.cx)));
            let place = doc.place(node.head().start);
            Some(Arc::new(StepsFrom { function: text.to_owned(), call, place, later: Arc::clone(later) }))
        }
        Err(error) => {
            let message = format!("`steps_from`: {}", error.message);
            let hint = "the function gets the event, or the event and the target, and returns a list of steps";
            doc.error_hint(codes::INVALID_SCRIPT, node.span.clone(), message, hint);
            None
        }
    }
}

impl Later {
    fn new(cx: &Context<'_>) -> Self {
        Self { config: cx.config.clone(), programs: Arc::new(Known::of(cx.sandbox.texts(), &cx.config.base)) }
    }
}

impl StepsFrom {
    /// Asks the function for the steps.
    ///
    /// # Errors
    /// What is wrong, with its place in the script or in the returned value: the function failed or hit a limit, or
    /// what it returned is no list of steps as a rule file could hold it.
    pub fn steps(
        &self,
        sandbox: &Sandbox,
        view: &EventView<'_>,
        target: &str,
        now: Timestamp,
    ) -> Result<Vec<Arc<Step>>, String> {
        let extra = Extra { target: Some(target), now, names: &[] };
        let value = sandbox.call(&self.call, view, extra).map_err(|error| error.message)?;
        self.read(sandbox, &value)
    }

    fn read(&self, sandbox: &Sandbox, value: &Value) -> Result<Vec<Arc<Step>>, String> {
        let mut text = String::new();
        let tree = tree(value, &mut text);
        let doc = Doc::made(self.place.clone(), text.into());
        let seen = Vocabulary::default();
        let cx = Context::returned(&self.later.config, sandbox, &seen, Arc::clone(&self.later.programs));
        let reader = Reader { doc: &doc, cx: &cx, scope: Scope { each: true, ..Scope::default() } };
        let steps = body::steps(&reader, &tree, "the returned value");
        let problems: Vec<_> = doc.take().into_iter().filter(|found| found.severity == Severity::Error).collect();
        let Some(first) = problems.first() else { return Ok(steps) };
        let at = path(&tree, &first.span);
        let at = if at.is_empty() { String::new() } else { format!("at {at}: ") };
        let hint = first.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let more = match problems.len() - 1 {
            0 => String::new(),
            more => format!("; {more} more like this"),
        };
        Err(format!("what {} returned cannot be used: {at}{}{hint}{more}", self.function, first.message))
    }
}

/// The value as the readers want it, and, in `text`, as it would be written: that is where spans point.
fn tree(value: &Value, text: &mut String) -> Node {
    let start = text.len();
    let kind = match value {
        Value::Null => {
            text.push_str("null");
            Kind::Null
        }
        Value::Bool(value) => {
            text.push_str(if *value { "true" } else { "false" });
            Kind::Bool(*value)
        }
        Value::Number(number) => {
            // Writing into a string cannot fail.
            write!(text, "{number}").unwrap_or_default();
            number.as_i64().map_or_else(|| Kind::Float(number.as_f64().unwrap_or(f64::NAN)), Kind::Int)
        }
        Value::String(value) => return text_node(value, text),
        Value::Array(items) => {
            text.push('[');
            let items = items.iter().map(|item| separated(text, |text| tree(item, text))).collect();
            text.push(']');
            Kind::List(items)
        }
        Value::Object(entries) => {
            text.push('{');
            let entries = entries
                .iter()
                .map(|(key, value)| {
                    separated(text, |text| {
                        let key = text_node(key, text);
                        text.push_str(": ");
                        (key, tree(value, text))
                    })
                })
                .collect();
            text.push('}');
            Kind::Map(entries)
        }
    };
    Node { kind, span: start..text.len() }
}

fn separated<T>(text: &mut String, write: impl FnOnce(&mut String) -> T) -> T {
    let written = write(text);
    text.push_str(", ");
    written
}

fn text_node(value: &str, text: &mut String) -> Node {
    let start = text.len();
    text.push_str(&Value::from(value).to_string());
    let kind = Kind::Text { text: value.to_owned(), style: Style::Double };
    Node { kind, span: start..text.len() }
}

/// The place of a span in the value: `[1].run[0]`. Empty for the value itself.
fn path(node: &Node, span: &Range<usize>) -> String {
    let holds = |node: &Node| node.span.start <= span.start && span.end <= node.span.end;
    match &node.kind {
        Kind::List(items) => {
            let inside = items.iter().enumerate().find(|(_, item)| holds(item));
            inside.map(|(at, item)| format!("[{at}]{}", path(item, span))).unwrap_or_default()
        }
        Kind::Map(entries) => {
            let inside = entries.iter().find(|(key, value)| holds(key) || holds(value));
            let Some((key, value)) = inside else { return String::new() };
            let name = match &key.kind {
                Kind::Text { text, .. } => text.as_str(),
                _ => "?",
            };
            let within = if holds(value) { path(value, span) } else { String::new() };
            format!(".{name}{within}")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
