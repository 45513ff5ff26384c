//! Asking the parts of a condition.

use rhai::{AST, Dynamic, Scope};
use serde_json::{Map, Value};

use super::tree::{Kind, Leaf, Node, Tree};
use super::{Part, Seen, Trace, Verdict, shorten};
use crate::clock::Stopwatch;
use crate::rule::sandbox::compare::type_name;
use crate::rule::sandbox::error::ScriptError;
use crate::rule::sandbox::{DEADLINE, Sandbox, convert, limits};

/// The most values that are shown of one part.
const VALUES_MAX: usize = 6;

/// Asks the parts of a condition.
pub(in crate::rule::sandbox) struct Asking<'a, 's> {
    pub(in crate::rule::sandbox) sandbox: &'a Sandbox,
    pub(in crate::rule::sandbox) scope: &'a mut Scope<'s>,
    pub(in crate::rule::sandbox) names: &'a Map<String, Value>,
    /// Names beside those of the event.
    pub(in crate::rule::sandbox) beside: &'a [(&'a str, Value)],
    pub(in crate::rule::sandbox) now_secs: i64,
    pub(in crate::rule::sandbox) since: Stopwatch,
}

impl Asking<'_, '_> {
    pub(in crate::rule::sandbox) fn trace(&mut self, tree: &Tree) -> Trace {
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
                Err(_) => Verdict::Error(format!("it gives {}, and a bool is needed", type_name(&value))),
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
        if self.since.elapsed() >= DEADLINE {
            return Err(ScriptError::new("there was no time left to ask it"));
        }
        let names = self.scope.len();
        let scope = &mut *self.scope;
        let engine = &self.sandbox.engine;
        let result = limits::bounded(self.now_secs, || engine.eval_ast_with_scope::<Dynamic>(scope, ast));
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
    match convert::to_json(value) {
        Ok(value) => describe(Some(&value)),
        Err(_) => type_name(value).to_owned(),
    }
}
