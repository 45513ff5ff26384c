//! Compiled conditions, and evaluating them.

use std::sync::Arc;

use rhai::{AST, Dynamic, Scope};

use super::compare::type_name;
use super::convert::to_dynamic;
use super::error::ScriptError;
use super::{Sandbox, check, limits};
use crate::clock::Timestamp;
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
        view.with_scope(|scope| {
            scope.push_constant("now", extra.now.as_secs());
            if let Some(target) = extra.target {
                scope.push_constant("target", target.to_owned());
            }
            for (name, value) in extra.names {
                scope.push_constant_dynamic(*name, to_dynamic(value));
            }
            if self.0.captures {
                self.run(sandbox, &mut scope.clone(), extra.now)
            } else {
                self.run(sandbox, scope, extra.now)
            }
        })
    }

    fn run(&self, sandbox: &Sandbox, scope: &mut Scope<'_>, now: Timestamp) -> Result<Dynamic, ScriptError> {
        limits::bounded(now.as_secs(), || sandbox.engine.eval_ast_with_scope::<Dynamic>(scope, &self.0.ast))?
            .map(Dynamic::flatten)
            .map_err(|error| ScriptError::from_rhai(&error, self.0.calls_modules))
    }
}
