//! The Rhai sandbox: scripts that read an event and can change nothing and reach nothing.
//!
//! # What keeps a script in
//!
//! The engine starts empty and gets chosen packages only: nothing that sleeps, prints, reads a clock or a file, or
//! compiles text. Native functions that could multiply memory are ours and bounded. A script may call only what
//! [`FUNCTIONS`] lists, what it defines itself, and the modules; anything else is refused when it is compiled.
//! Operations, call depth, sizes and time are limited (see the constants in this module). Event names are
//! constants. A comparison across types is an error, since a quiet `false` would decide about a host.
//!
//! Every error means "the condition does not hold"; a panic inside the engine is such an error too. This module
//! never acts and reads no wall clock: `now` is handed in.

mod check;
mod compare;
mod condition;
mod convert;
mod engine;
mod error;
mod functions;
mod limits;
mod lookup;
mod patterns;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod trace;

pub use condition::{Condition, Extra};
pub(super) use convert::to_dynamic;
pub use error::ScriptError;
pub use functions::{FUNCTIONS, Function};
pub use limits::{
    ARRAY_ITEMS_MAX, CALL_LEVELS_MAX, DEADLINE, EXPRESSION_DEPTH_MAX, FUNCTIONS_MAX, MAP_ENTRIES_MAX, MODULES_MAX,
    OPERATIONS_MAX, SOURCE_BYTES_MAX, TEXT_BYTES_MAX, VARIABLES_MAX,
};
pub use trace::{Part, Seen, Trace, Verdict};

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use rhai::{AST, Engine, Module, Scope, Shared};
use serde_json::Value;

use super::view::EventView;

/// The names that a script may find besides its own: those of the event, `target`, `now`, and those that only
/// some places have (`steps`, `run`, `response`). Which of them are there is known when the script runs.
pub const NAMES: &[&str] = &[
    "event", "incident", "alert", "alerts", "labels", "fields", "person", "channel", "target", "now", "steps", "run",
    "response",
];

/// What the modules offer: module → function → the numbers of arguments with which it can be called.
type Exports = BTreeMap<String, BTreeMap<String, Vec<usize>>>;

/// The script engine with its limits, functions and the modules of `scripts/*.rhai`.
pub struct Sandbox {
    engine: Engine,
    /// Every one of [`NAMES`], so that the compiler can tell an unknown variable.
    known: Scope<'static>,
    exports: Exports,
    /// Every text that stands in a module as it is.
    texts: HashSet<String>,
    /// What the functions of modules read of parameters that are named as the event's names are.
    module_paths: Vec<ModulePath>,
}

/// A path of the event that a function of a module reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePath {
    /// The module.
    pub module: String,
    /// The path: `incident.title`.
    pub path: String,
    /// One-based line in the module's text.
    pub line: usize,
    /// One-based column, in characters.
    pub column: usize,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("modules", &self.exports).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// A sandbox with the modules given as (name, file, text).
    ///
    /// A module's public functions are called as `NAME::function(…)` from conditions and from every other module,
    /// whatever the order. Its top level runs once, here, without an event.
    ///
    /// # Errors
    /// Every problem at once, each with the place of its module in `modules`.
    pub fn new(modules: &[(String, &Path, String)]) -> Result<Self, Vec<(usize, ScriptError)>> {
        let mut problems = Vec::new();
        let mut sandbox = Self {
            engine: engine::build(),
            known: Scope::new(),
            exports: Exports::new(),
            texts: HashSet::new(),
            module_paths: Vec::new(),
        };
        for name in NAMES {
            sandbox.known.push_constant(*name, ());
        }
        if modules.len() > MODULES_MAX {
            let message = format!("there are {} script modules, the limit is {MODULES_MAX}", modules.len());
            return Err(vec![(MODULES_MAX, ScriptError::new(&message))]);
        }

        // The strict check of variables knows a module only after it is registered, and modules may name each
        // other: so they are all read loosely first, and checked strictly when all are known.
        let mut read = Vec::new();
        for (at, (name, _, text)) in modules.iter().enumerate() {
            match sandbox.check_module_name(name).and_then(|()| sandbox.parse(&Scope::new(), text, false)) {
                Ok(ast) => {
                    sandbox.exports.insert(name.clone(), check::exports(&ast));
                    read.push((at, name, ast));
                }
                Err(error) => problems.push((at, error)),
            }
        }
        for (at, name, ast) in read {
            check::texts(&ast, &mut sandbox.texts);
            let wrong = check::calls(&ast, &sandbox.exports);
            if !wrong.is_empty() {
                problems.extend(wrong.into_iter().map(|error| (at, error)));
                continue;
            }
            match sandbox.load_module(&ast) {
                Ok(module) => {
                    sandbox.engine.register_static_module(name, module);
                }
                Err(error) => problems.push((at, error)),
            }
        }
        if problems.is_empty() {
            for (at, (name, _, text)) in modules.iter().enumerate() {
                match sandbox.parse(&Scope::new(), text, true) {
                    Ok(ast) => sandbox.module_paths.extend(
                        check::parameter_paths(&ast).into_iter().map(|(path, line, column)| ModulePath {
                            module: name.clone(),
                            path,
                            line,
                            column,
                        }),
                    ),
                    Err(error) => problems.push((at, error)),
                }
            }
        }
        if problems.is_empty() { Ok(sandbox) } else { Err(problems) }
    }

    fn check_module_name(&self, name: &str) -> Result<(), ScriptError> {
        let fault = if !is_module_name(name) {
            "must be a name of lower-case letters, digits and `_`, not starting with a digit, at most 64 characters"
        } else if !rhai::is_valid_identifier(name) || name == "global" || NAMES.contains(&name) {
            "means something else in scripts already"
        } else if self.exports.contains_key(name) {
            "occurs twice"
        } else {
            return Ok(());
        };
        Err(ScriptError::new(&format!("the module name `{name}` {fault}")))
    }

    fn load_module(&self, ast: &AST) -> Result<Shared<Module>, ScriptError> {
        limits::bounded(0, || Module::eval_ast_as_new(Scope::new(), ast, &self.engine))?
            .map(Into::into)
            .map_err(|error| ScriptError::from_rhai(&error, false))
    }

    /// Parses `source`, refusing unknown variables and modules if `strict`.
    fn parse(&self, names: &Scope<'_>, source: &str, strict: bool) -> Result<AST, ScriptError> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the script has {} bytes, the limit is {SOURCE_BYTES_MAX}", source.len());
            return Err(ScriptError::new(&message));
        }
        let parsed = limits::bounded(0, || {
            if strict {
                self.engine.compile_with_scope(names, source)
            } else {
                engine::parser(self.engine.max_functions()).compile(source)
            }
        })?;
        let modules = self.exports.keys().map(String::as_str);
        parsed.map_err(|error| ScriptError::from_parser(&error, modules))
    }

    /// Compiles a condition and refuses what cannot work: unknown variables, functions and modules, and every
    /// attempt to assign to what belongs to the event.
    ///
    /// # Errors
    /// The first problem, at its line and column within `source`.
    pub fn compile(&self, source: &str) -> Result<Condition, ScriptError> {
        self.compile_or_every_problem(source, None).map_err(|problems| {
            problems.into_iter().next().unwrap_or_else(|| ScriptError::new("the script cannot be used"))
        })
    }

    /// The same, with every problem that can be told: the parser stops at its first. `item` is a name that the place
    /// knows besides: the item of an `each`.
    pub(super) fn compile_or_every_problem(
        &self,
        source: &str,
        item: Option<&str>,
    ) -> Result<Condition, Vec<ScriptError>> {
        let ast = match item {
            None => self.parse(&self.known, source, true),
            Some(item) => {
                let mut known = self.known.clone();
                known.push_constant(item, ());
                self.parse(&known, source, true)
            }
        };
        let ast = ast.map_err(|error| vec![error])?;
        let mut problems = check::calls(&ast, &self.exports);
        problems.extend(check::names_are_constant(&ast).err());
        if problems.is_empty() { Ok(Condition::new(ast, source)) } else { Err(problems) }
    }

    /// Compiles the call of a function that gets the event or, where it takes two arguments, the event and the target.
    ///
    /// # Errors
    /// There is no such module or function, or it takes other arguments.
    pub fn compile_call(&self, module: &str, function: &str) -> Result<Condition, ScriptError> {
        // Checked, because both become script text.
        if !is_module_name(module) || !rhai::is_valid_identifier(function) {
            return Err(ScriptError::new(&format!("`{module}::{function}` is not the name of a module's function")));
        }
        let arguments = if self.has_function(module, function, 2) { "event, target" } else { "event" };
        self.compile(&format!("{module}::{function}({arguments})"))
    }

    /// Makes a call, and gives back what it returns, as JSON.
    ///
    /// # Errors
    /// The function failed, hit a limit, or returned something that JSON has no form for.
    pub fn call(&self, call: &Condition, view: &EventView<'_>, extra: Extra<'_>) -> Result<Value, ScriptError> {
        convert::to_json(&call.evaluate(self, view, extra)?)
    }

    /// Whether a text stands in a script as it is, so that no event can have made it.
    pub fn has_text(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// Every text that stands in a script as it is.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// What the functions of modules read of parameters named `event`, `incident` and the like.
    pub fn module_paths(&self) -> &[ModulePath] {
        &self.module_paths
    }

    /// Whether the module has a function that takes this many arguments.
    pub fn has_function(&self, module: &str, function: &str, arguments: usize) -> bool {
        self.exports
            .get(module)
            .and_then(|functions| functions.get(function))
            .is_some_and(|arities| arities.contains(&arguments))
    }
}

fn is_module_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
