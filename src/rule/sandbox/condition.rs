//! Compiled conditions, and evaluating them.

use std::sync::{Arc, OnceLock};

use rhai::{AST, Dynamic, Scope};

use super::compare::type_name;
use super::convert::to_dynamic;
use super::error::ScriptError;
use super::trace::{Asking, Trace, Tree};
use super::{Sandbox, check, limits};
use crate::clock::{Stopwatch, Timestamp};
use crate::rule::view::EventView;

/// A compiled condition: an expression or block whose last value must be a bool.
#[derive(Debug, Clone)]
pub struct Condition(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    ast: AST,
    source: String,
    paths: Vec<(String, usize, usize)>,
    /// A closure uses event names, which makes Rhai rewrite them in the scope.
    captures: bool,
    calls_modules: bool,
    /// Made when somebody first asks why it did not hold.
    tree: OnceLock<Tree>,
}

/// What a condition sees besides the event.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// The rendered target; `None` before it is known.
    pub target: Option<&'a str>,
    /// The time of the run or of the test.
    pub now: Timestamp,
    /// Further names: `steps` for `if:`, `response` for `expect.when`.
    pub names: &'a [(&'a str, serde_json::Value)],
}

impl Condition {
    pub(super) fn new(ast: AST, source: &str) -> Self {
        let seen = check::paths(&ast);
        Self(Arc::new(Compiled {
            captures: seen.captures,
            calls_modules: seen.calls_modules,
            paths: seen.paths,
            source: source.to_owned(),
            ast,
            tree: OnceLock::new(),
        }))
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Every path of the event that it names, as (`event.incident.title`, line, column), in the order written. A
    /// label in brackets stands like one after a dot: `labels["a/b.c"]` is `labels.a/b.c`.
    pub fn paths(&self) -> &[(String, usize, usize)] {
        &self.0.paths
    }

    /// Whether it names `root` (`steps`, `response`, `target`, …) or something in it.
    pub fn mentions(&self, root: &str) -> bool {
        self.0.paths.iter().any(|(path, ..)| path.split('.').next() == Some(root))
    }

    /// What it gives for every event, where that can be told without one: of `false && …` it can.
    pub fn constant(&self, sandbox: &Sandbox) -> Option<bool> {
        // Taking it apart costs as much as compiling it, and only literals can make it constant.
        let is_possible = self.0.paths.is_empty() || ["true", "false"].iter().any(|word| self.0.source.contains(word));
        is_possible.then(|| self.tree(sandbox).constant(sandbox)).flatten()
    }

    fn tree(&self, sandbox: &Sandbox) -> &Tree {
        self.0.tree.get_or_init(|| Tree::new(sandbox, &self.0.source))
    }

    /// Evaluates the condition.
    ///
    /// # Errors
    /// A name or property that is not there, a comparison across types, a limit, a result that is no bool. Every
    /// error means "does not hold".
    pub fn holds(&self, sandbox: &Sandbox, view: &EventView<'_>, extra: Extra<'_>) -> Result<bool, ScriptError> {
        let value = self.evaluate(sandbox, view, extra)?;
        value
            .as_bool()
            .map_err(|_| ScriptError::new(&format!("the condition must give a bool, this gives {}", type_name(&value))))
    }

    /// Evaluates it to a list of texts, as an `each` needs one; whole numbers count as text.
    ///
    /// # Errors
    /// The same as of [`Condition::holds`], and a result that is no list, or holds something else.
    pub fn list(&self, sandbox: &Sandbox, view: &EventView<'_>, extra: Extra<'_>) -> Result<Vec<String>, ScriptError> {
        let value = self.evaluate(sandbox, view, extra)?;
        let items = value
            .as_array_ref()
            .map_err(|_| ScriptError::new(&format!("the script must give a list, this gives {}", type_name(&value))))?;
        let text = |item: &Dynamic| match (item.as_immutable_string_ref(), item.as_int()) {
            (Ok(text), _) => Ok(text.to_string()),
            (_, Ok(number)) => Ok(number.to_string()),
            _ => Err(ScriptError::new(&format!("the list must hold texts, and it holds {}", type_name(item)))),
        };
        items.iter().map(text).collect()
    }

    /// Evaluates it to whatever it gives.
    pub(super) fn evaluate(
        &self,
        sandbox: &Sandbox,
        view: &EventView<'_>,
        extra: Extra<'_>,
    ) -> Result<Dynamic, ScriptError> {
        self.in_scope(view, extra, |scope| self.run(sandbox, scope, extra.now))
    }

    /// Which part of it is false or fails, and on which values: for a condition that did not hold. Asks each part by
    /// itself, within the time of one evaluation.
    pub fn why(&self, sandbox: &Sandbox, view: &EventView<'_>, extra: Extra<'_>) -> Trace {
        let tree = self.tree(sandbox);
        let mut beside = extra.names.to_vec();
        beside.extend(extra.target.map(|target| ("target", target.into())));
        self.in_scope(view, extra, |scope| {
            let since = Stopwatch::start();
            let now_secs = extra.now.as_secs();
            Asking { sandbox, scope, names: view.names(), beside: &beside, now_secs, since }.trace(tree)
        })
    }

    /// An error of it in words, with its place in the script and the values that the part which failed had read.
    pub fn say(&self, error: &ScriptError, sandbox: &Sandbox, view: &EventView<'_>, extra: Extra<'_>) -> String {
        let mut said = error.message.clone();
        if let (Some(line), Some(column)) = (error.line, error.column) {
            said.push_str(&format!(" (line {line}, column {column} of the script)"));
        }
        // What was stopped by a limit is better not asked again.
        if !error.is_limit
            && let Some(read) = self.why(sandbox, view, extra).read_by_failure()
        {
            said.push_str("; ");
            said.push_str(&read);
        }
        said
    }

    /// Hands `work` the scope with everything that the condition sees.
    fn in_scope<T>(&self, view: &EventView<'_>, extra: Extra<'_>, work: impl FnOnce(&mut Scope<'_>) -> T) -> T {
        view.with_scope(|scope| {
            scope.push_constant("now", extra.now.as_secs());
            if let Some(target) = extra.target {
                scope.push_constant("target", target.to_owned());
            }
            for (name, value) in extra.names {
                scope.push_constant_dynamic(*name, to_dynamic(value));
            }
            if self.0.captures { work(&mut scope.clone()) } else { work(scope) }
        })
    }

    fn run(&self, sandbox: &Sandbox, scope: &mut Scope<'_>, now: Timestamp) -> Result<Dynamic, ScriptError> {
        limits::bounded(now.as_secs(), || sandbox.engine.eval_ast_with_scope::<Dynamic>(scope, &self.0.ast))?
            .map(Dynamic::flatten)
            .map_err(|error| ScriptError::from_rhai(&error, self.0.calls_modules))
    }
}
