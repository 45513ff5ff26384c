//! Why a condition did not hold: which part of it was false or failed, and on which values.
//!
//! A condition is taken apart when somebody first asks why; then each part is asked by itself, in the order and with
//! the short cuts of the whole. It reads what the condition read and changes nothing.

use std::fmt;
use std::ops::Range;

use rhai::{AST, Dynamic, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ScriptError;
use super::split::{Shape, Tokens};
use super::{Sandbox, check};
use crate::clock::Stopwatch;

/// The most parts of one condition that are asked; the rest is told as one.
const PARTS_MAX: usize = 64;
/// How deep parts are taken apart.
const DEPTH_MAX: usize = 16;
/// The most values that are shown of one part.
const VALUES_MAX: usize = 6;
/// The most parts that a summary names.
const NAMED_MAX: usize = 3;
/// How many characters of a part, or of a value, are shown.
const SHOWN_CHARS: usize = 120;

/// What a part of a condition gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is true.
    True,
    /// It is false.
    False,
    /// It failed, with the message.
    Error(String),
    /// The parts before it had settled the matter.
    NotAsked,
}

/// A value that a part read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The path, or the side of a comparison, as it is written.
    pub name: String,
    /// Its value, shortened and quoted.
    pub value: String,
}

/// A part of a condition, held against an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How deep it stands in the whole.
    pub depth: usize,
    /// As it is written.
    pub expression: String,
    /// What it gave.
    pub verdict: Verdict,
    /// What it read; empty where it consists of further parts.
    pub seen: Vec<Seen>,
    /// Whether it is what the whole failed by.
    pub decisive: bool,
}

/// Every part of a condition, in the order written, each before those that it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Trace {
    /// What the part that failed had read: "in `labels.a >= 5`, labels.a is \"5\"". `None` where no part failed, or it
    /// read nothing.
    pub fn read_by_failure(&self) -> Option<String> {
        let failed = |part: &&Part| part.decisive && matches!(part.verdict, Verdict::Error(_));
        let part = self.parts.iter().find(failed).filter(|part| !part.seen.is_empty())?;
        let seen: Vec<String> = part.seen.iter().map(ToString::to_string).collect();
        Some(format!("in `{}`, {}", part.expression, seen.join(", ")))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.name, self.value)
    }
}

impl fmt::Display for Trace {
    /// What the condition failed by: "`incident.alert_cnt >= 3` is false: incident.alert_cnt is 1".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decisive: Vec<&Part> = self.parts.iter().filter(|part| part.decisive).collect();
        for (nth, part) in decisive.iter().take(NAMED_MAX).enumerate() {
            if nth > 0 {
                f.write_str("; ")?;
            }
            part.fmt(f)?;
        }
        match decisive.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.expression)?;
        match &self.verdict {
            Verdict::True => f.write_str("is true")?,
            Verdict::False => f.write_str("is false")?,
            Verdict::Error(message) => write!(f, "fails, {message}")?,
            Verdict::NotAsked => f.write_str("was not asked")?,
        }
        for (nth, seen) in self.seen.iter().enumerate() {
            write!(f, "{}{seen}", if nth == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

/// A condition taken apart.
#[derive(Debug)]
pub(super) struct Tree {
    root: Node,
}

#[derive(Debug)]
struct Node {
    expression: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Leaf(Box<Leaf>),
}

/// A part that is asked as it stands.
#[derive(Debug)]
struct Leaf {
    ast: Option<AST>,
    paths: Vec<String>,
    /// Sides of a comparison that are neither a path nor constant.
    sides: Vec<(String, AST)>,
}

/// Takes conditions apart.
struct Cutter<'s> {
    sandbox: &'s Sandbox,
    source: &'s str,
    tokens: Tokens<'s>,
    /// What stands before the last expression, and prepares for each of its parts.
    before: &'s str,
    parts: usize,
}

impl Tree {
    pub(super) fn new(sandbox: &Sandbox, source: &str) -> Self {
        let tokens = Tokens::new(&sandbox.engine, source);
        let last = tokens.last_expression();
        let before = source.get(..last.start).unwrap_or_default();
        let mut cutter = Cutter { sandbox, source, tokens, before, parts: 0 };
        Self { root: cutter.cut(last, 0) }
    }

    /// What it gives for every event, where that can be told.
    pub(super) fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        self.root.constant(sandbox)
    }
}

impl Node {
    fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        match &self.kind {
            Kind::Or(inner) => {
                let each: Vec<Option<bool>> = inner.iter().map(|node| node.constant(sandbox)).collect();
                // A part before it could fail, and then the whole does not hold.
                if each.first() == Some(&Some(true)) || each.iter().all(Option::is_some) && each.contains(&Some(true)) {
                    return Some(true);
                }
                each.iter().all(|given| *given == Some(false)).then_some(false)
            }
            Kind::And(inner) => {
                let each: Vec<Option<bool>> = inner.iter().map(|node| node.constant(sandbox)).collect();
                if each.contains(&Some(false)) {
                    return Some(false);
                }
                each.iter().all(|given| *given == Some(true)).then_some(true)
            }
            Kind::Not(inner) => inner.constant(sandbox).map(|given| !given),
            Kind::Leaf(leaf) => leaf.constant(sandbox),
        }
    }
}

impl Leaf {
    fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        let ast = self.ast.as_ref()?;
        let seen = check::paths(ast);
        if !seen.paths.is_empty() || seen.asks_the_time {
            return None;
        }
        let mut scope = Scope::new();
        let value = super::limits::bounded(0, || sandbox.engine.eval_ast_with_scope::<Dynamic>(&mut scope, ast));
        value.ok()?.ok()?.as_bool().ok()
    }
}

impl Cutter<'_> {
    fn cut(&mut self, range: Range<usize>, depth: usize) -> Node {
        self.parts += 1;
        let expression = shorten(&one_line(self.text(&range)));
        let shape = if depth < DEPTH_MAX && self.parts < PARTS_MAX { self.tokens.shape(&range) } else { Shape::Whole };
        let kind = match shape {
            Shape::And(parts) if parts.len() == 1 => {
                // Parentheses around a whole.
                return parts
                    .into_iter()
                    .next()
                    .map(|inner| self.cut(inner, depth + 1))
                    .unwrap_or(Node { expression, kind: Kind::And(Vec::new()) });
            }
            Shape::Or(parts) => Kind::Or(parts.into_iter().map(|part| self.cut(part, depth + 1)).collect()),
            Shape::And(parts) => Kind::And(parts.into_iter().map(|part| self.cut(part, depth + 1)).collect()),
            Shape::Not(inner) => Kind::Not(Box::new(self.cut(inner, depth + 1))),
            Shape::Compare(left, right) => self.leaf(&range, &[left, right]),
            Shape::Whole => self.leaf(&range, &[]),
        };
        Node { expression, kind }
    }

    fn leaf(&self, range: &Range<usize>, sides: &[Range<usize>]) -> Kind {
        let ast = self.compile(range);
        // The preparation reads paths of its own, which are shown only where they stand in this part.
        let alone = self.sandbox.parse(&self.sandbox.known, self.text(range), false).ok();
        let read = |ast: &AST| check::paths(ast).paths.into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
        let mut paths = alone.as_ref().map(read).unwrap_or_default();
        paths.dedup();
        let sides = sides.iter().filter_map(|side| {
            let text = self.text(side);
            let alone = self.sandbox.parse(&self.sandbox.known, text, false).ok()?;
            let is_plain = is_constant(&alone) || check::is_path(&alone);
            Some((shorten(&one_line(text)), self.compile(side).filter(|_| !is_plain)?))
        });
        Kind::Leaf(Box::new(Leaf { ast, sides: sides.collect(), paths }))
    }

    fn compile(&self, range: &Range<usize>) -> Option<AST> {
        let text = format!("{}{}", self.before, self.text(range));
        self.sandbox.parse(&self.sandbox.known, &text, true).ok()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.source.get(range.clone()).unwrap_or_default()
    }
}

/// Whether an expression is a single literal.
fn is_constant(ast: &AST) -> bool {
    matches!(ast.statements(), [rhai::Stmt::Expr(expr)] if expr.is_constant())
}

/// Asks the parts of a condition.
pub(super) struct Asking<'a, 's> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) scope: &'a mut Scope<'s>,
    pub(super) names: &'a Map<String, Value>,
    /// Names beside those of the event.
    pub(super) beside: &'a [(&'a str, Value)],
    pub(super) now_secs: i64,
    pub(super) since: Stopwatch,
}

impl Asking<'_, '_> {
    pub(super) fn trace(&mut self, tree: &Tree) -> Trace {
        let mut parts = Vec::new();
        self.ask(&tree.root, 0, Some(true), &mut parts);
        Trace { parts }
    }

    /// Asks a node and appends it with what it consists of. `wanted` is what it had to give; `None` where it is
    /// not asked.
    fn ask(&mut self, node: &Node, depth: usize, wanted: Option<bool>, parts: &mut Vec<Part>) -> Verdict {
        let at = parts.len();
        parts.push(Part {
            depth,
            expression: node.expression.clone(),
            verdict: Verdict::NotAsked,
            seen: Vec::new(),
            decisive: false,
        });
        let verdict = match &node.kind {
            Kind::Or(inner) => self.ask_each(inner, depth, wanted, true, parts),
            Kind::And(inner) => self.ask_each(inner, depth, wanted, false, parts),
            Kind::Not(inner) => match self.ask(inner, depth + 1, wanted.map(|wanted| !wanted), parts) {
                Verdict::True => Verdict::False,
                Verdict::False => Verdict::True,
                other => other,
            },
            Kind::Leaf(leaf) => match wanted {
                None => Verdict::NotAsked,
                Some(wanted) => {
                    let verdict = self.leaf(leaf);
                    let seen = self.seen(leaf);
                    if let Some(part) = parts.get_mut(at) {
                        part.decisive = match &verdict {
                            Verdict::True => !wanted,
                            Verdict::False => wanted,
                            Verdict::Error(_) => true,
                            Verdict::NotAsked => false,
                        };
                        part.seen = seen;
                    }
                    verdict
                }
            },
        };
        let is_as_wanted = match &verdict {
            Verdict::True => wanted == Some(true),
            Verdict::False => wanted == Some(false),
            Verdict::Error(_) | Verdict::NotAsked => false,
        };
        if is_as_wanted {
            // What failed inside did not fail this.
            parts.iter_mut().skip(at + 1).for_each(|part| part.decisive = false);
        }
        if let Some(part) = parts.get_mut(at) {
            part.verdict = verdict.clone();
        }
        verdict
    }

    /// Asks parts in their order until one gives `settles`, or fails.
    fn ask_each(
        &mut self,
        inner: &[Node],
        depth: usize,
        wanted: Option<bool>,
        settles: bool,
        parts: &mut Vec<Part>,
    ) -> Verdict {
        let mut verdict = if settles { Verdict::False } else { Verdict::True };
        let mut settled = wanted.is_none();
        for node in inner {
            let given = self.ask(node, depth + 1, wanted.filter(|_| !settled), parts);
            let is_settling = match &given {
                Verdict::True => settles,
                Verdict::False => !settles,
                Verdict::Error(_) => true,
                Verdict::NotAsked => false,
            };
            if is_settling {
                settled = true;
                verdict = given;
            }
        }
        if wanted.is_none() { Verdict::NotAsked } else { verdict }
    }

    fn leaf(&mut self, leaf: &Leaf) -> Verdict {
        let Some(ast) = &leaf.ast else { return Verdict::Error("it cannot be asked by itself".into()) };
        match self.evaluate(ast) {
            Ok(value) => match value.as_bool() {
                Ok(true) => Verdict::True,
                Ok(false) => Verdict::False,
                Err(_) => {
                    Verdict::Error(format!("it gives {}, and a bool is needed", super::compare::type_name(&value)))
                }
            },
            Err(error) => Verdict::Error(error.message),
        }
    }

    fn seen(&mut self, leaf: &Leaf) -> Vec<Seen> {
        let paths: Vec<Seen> = leaf.paths.iter().map(|path| self.at_path(path)).collect();
        let sides: Vec<Seen> = leaf
            .sides
            .iter()
            .filter_map(|(text, ast)| {
                let value = self.evaluate(ast).ok()?;
                Some(Seen { name: text.clone(), value: describe_dynamic(&value) })
            })
            .collect();
        sides.into_iter().chain(paths).take(VALUES_MAX).collect()
    }

    fn at_path(&self, path: &str) -> Seen {
        let (root, rest) = path.split_once('.').map_or((path, None), |(root, rest)| (root, Some(rest)));
        let beside = self.beside.iter().find(|(name, _)| *name == root).map(|(_, value)| value);
        let value = beside.or_else(|| self.names.get(root)).and_then(|value| match rest {
            None => Some(value),
            Some(rest) => find(value, rest),
        });
        let value = match (root, value) {
            ("now", None) => self.now_secs.to_string(),
            (_, value) => describe(value),
        };
        Seen { name: path.to_owned(), value }
    }

    fn evaluate(&mut self, ast: &AST) -> Result<Dynamic, ScriptError> {
        // A condition that costs its whole time is not asked again piece by piece.
        if self.since.elapsed() >= super::DEADLINE {
            return Err(ScriptError::new("there was no time left to ask it"));
        }
        let names = self.scope.len();
        let scope = &mut *self.scope;
        let engine = &self.sandbox.engine;
        let result = super::limits::bounded(self.now_secs, || engine.eval_ast_with_scope::<Dynamic>(scope, ast));
        self.scope.rewind(names);
        result?.map(Dynamic::flatten).map_err(|error| ScriptError::from_rhai(&error, true))
    }
}

/// The value behind a dotted path; a name may have dots in it.
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Value::Array(items) = value {
        return path.parse::<usize>().ok().and_then(|at| items.get(at));
    }
    let entries = value.as_object()?;
    if let Some(value) = entries.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| find(entries.get(path.get(..dot)?)?, path.get(dot + 1..)?))
}

fn describe(value: Option<&Value>) -> String {
    match value {
        None => "absent".into(),
        Some(Value::Null) => "null".into(),
        Some(Value::String(text)) => format!("{:?}", shorten(text)),
        Some(Value::Array(items)) if items.len() > 4 => format!("a list of {}", items.len()),
        Some(Value::Object(entries)) if entries.len() > 4 => format!("a map of {}", entries.len()),
        Some(other) => shorten(&other.to_string()),
    }
}

fn describe_dynamic(value: &Dynamic) -> String {
    match super::convert::to_json(value) {
        Ok(value) => describe(Some(&value)),
        Err(_) => super::compare::type_name(value).to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
