//! From the tree of a rule file to rules and tests: every key of the language, every problem at once.
//!
//! A reader that finds a problem reports it and goes on with a default. Nothing that was read with an error is
//! ever used: [`super::load`] builds no rule set while one is there.

mod argv;
mod body;
pub(crate) mod by;
mod case;
mod dedupe;
mod each;
mod flashduty;
pub(crate) mod guards;
pub(crate) mod http;
mod inline_secret;
mod matching;
mod never;
mod paths;
mod process;
mod program;
mod scope;
mod script;
mod ssh;
mod step;
pub(super) mod steps_from;

pub(crate) use each::EACH_BATCH_MAX;
pub(super) use paths::documented;
use scope::Scope;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::codes;
use super::sandbox::{Condition, Sandbox, ScriptError};
use super::test_case::TestCase;
use super::vocabulary::Vocabulary;
use super::yaml::doc::Doc;
use super::yaml::fields::Fields;
use super::yaml::values::LIST_MAX;
use super::yaml::{Kind, Node, parse};
use super::{Mode, Reporting, Rule};
use crate::config::Config;
use program::{Known, Programs};

/// How many rules one file may hold.
pub(crate) const RULES_PER_FILE_MAX: usize = 10_000;
/// How many tests one file may hold.
pub(crate) const TESTS_PER_FILE_MAX: usize = 5_000;
/// How many steps one list may hold.
pub(crate) const STEPS_MAX: usize = 64;

/// Compiled conditions, by what the item of an `each` is called there, and their text.
type Conditions = HashMap<(Option<String>, String), Result<Condition, Vec<ScriptError>>>;

/// What readers need besides the file.
#[derive(Debug)]
pub(super) struct Context<'a> {
    config: &'a Config,
    sandbox: &'a Sandbox,
    /// Compiled once each: rules are often copies of each other.
    regexes: RefCell<HashMap<String, Result<regex::Regex, String>>>,
    /// Looked up once each.
    programs: RefCell<Programs>,
    /// Compiled once each.
    conditions: RefCell<Conditions>,
    /// What pushes were seen to have.
    seen: &'a Vocabulary,
    /// Where the value that a function returned is read, which may hold what an event brought.
    is_returned: bool,
    /// What reads returned values later; made once, if some rule asks.
    later: OnceCell<Arc<steps_from::Later>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(config: &'a Config, sandbox: &'a Sandbox, seen: &'a Vocabulary) -> Self {
        Self {
            config,
            sandbox,
            seen,
            regexes: RefCell::default(),
            programs: RefCell::new(Programs::looking_up()),
            conditions: RefCell::default(),
            is_returned: false,
            later: OnceCell::new(),
        }
    }

    /// For a value that a function returned.
    fn returned(config: &'a Config, sandbox: &'a Sandbox, seen: &'a Vocabulary, programs: Arc<Known>) -> Self {
        let programs = RefCell::new(Programs::Known(programs));
        Self { programs, is_returned: true, ..Self::new(config, sandbox, seen) }
    }
}

/// A rule that was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) rule: Rule,
    /// Where its id is written.
    pub(super) id: Range<usize>,
    /// A digest of all that it does and when, without its id and who answers for it.
    pub(super) print: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Its rules.
    pub(super) rules: Vec<Found>,
    /// Its tests.
    pub(super) tests: Vec<TestCase>,
}

/// Reads one file; what is wrong with it is in `doc` afterwards.
pub(super) fn file(doc: &Doc, cx: &Context<'_>) -> Contents {
    let mut contents = Contents::default();
    let Some(root) = parse(doc) else { return contents };
    let Some(fields) = Fields::open(doc, &root, "the file") else { return contents };
    let reader = Reader { doc, cx, scope: Scope::default() };
    let only_tests = doc.file().file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".test"));
    let rules = if only_tests || fields.has("tests") {
        fields.get("rules")
    } else {
        fields.require("rules", "list the rules under `rules:`, and tests under `tests:`")
    };
    if let Some(list) = rules.and_then(|node| doc.list(node, "`rules`", RULES_PER_FILE_MAX)) {
        contents.rules = list.iter().filter_map(|node| body::rule(&reader, node)).collect();
    }
    if let Some(list) = fields.get("tests").and_then(|node| doc.list_or_empty(node, "`tests`", TESTS_PER_FILE_MAX)) {
        contents.tests = list.iter().filter_map(|node| case::test(&reader, node)).collect();
    }
    fields.close();
    contents
}

/// A file being read, with what readers need.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    doc: &'a Doc,
    cx: &'a Context<'a>,
    scope: Scope<'a>,
}

impl Reader<'_> {
    /// Whether a text was written by an author: all that stands in a file, and of what a function returned the texts
    /// that stand in a script.
    fn is_authored(&self, text: &str) -> bool {
        !self.cx.is_returned || self.cx.sandbox.has_text(text)
    }

    /// Reports a text that is used as code, a program or a name, and may come from an event.
    fn refuse_unless_authored(&self, node: &Node, text: &str, what: &str) -> bool {
        let authored = self.is_authored(text);
        if !authored {
            self.doc.error_hint(
                codes::TEMPLATE_AS_CODE,
                node.span.clone(),
                format!("{what} must stand in a script as it is, or an event could decide what it says"),
                "write it as one text; values go into arguments, `env`, `query` or `json`",
            );
        }
        authored
    }

    /// Optional free text.
    fn free_text(&self, fields: &Fields<'_>, name: &'static str) -> Option<String> {
        let node = fields.get(name)?;
        self.doc.text(node, &format!("`{name}`")).map(str::to_owned)
    }

    /// Optional bool; false where it is not written.
    fn flag(&self, fields: &Fields<'_>, name: &'static str) -> bool {
        fields.get(name).and_then(|node| self.doc.boolean(node, &format!("`{name}`"))).unwrap_or(false)
    }
}

/// Reads `report`, for rules and the config alike.
pub(crate) fn reporting(doc: &Doc, node: &Node) -> Option<Reporting> {
    match &node.kind {
        Kind::Bool(true) => Some(Reporting::Runs),
        Kind::Bool(false) => Some(Reporting::Off),
        Kind::Text { text, .. } if text == "dry-run" => Some(Reporting::DryRuns),
        _ => {
            let message = "`report` is `true`, `false` or `dry-run`";
            let hint = "`dry-run` also comments what a rule in dry-run would have done";
            doc.error_hint(codes::INVALID_VALUE, node.head(), message, hint);
            None
        }
    }
}

/// Reads a mode, for rules and the config alike.
pub(crate) fn mode(doc: &Doc, node: &Node) -> Option<Mode> {
    doc.choice(node, "`mode`", Mode::NAMES)
}

/// The most elements that any list of names may have.
const NAMES_MAX: usize = LIST_MAX;

#[cfg(test)]
mod tests;
