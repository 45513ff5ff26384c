//! The Rhai sandbox: scripts that read an event and can change nothing and reach nothing.

use std::fmt;
use std::path::Path;

use super::view::EventView;
use crate::clock::Timestamp;

/// The script engine with its limits, functions and the modules of `scripts/*.rhai`.
pub struct Sandbox {}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

/// What is wrong with a script, with its place inside the script's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// What went wrong.
    pub message: String,
    /// One-based line in the script's text, where known.
    pub line: Option<usize>,
    /// One-based column, in characters.
    pub column: Option<usize>,
}

/// A compiled condition: an expression or block whose last value must be a bool.
#[derive(Debug, Clone)]
pub struct Condition {}

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

impl Sandbox {
    /// A sandbox with the modules given as (name, file, text); every problem at once.
    pub fn new(_modules: &[(String, &Path, String)]) -> Result<Self, Vec<(usize, ScriptError)>> {
        Ok(Self {})
    }

    /// Compiles a condition.
    pub fn compile(&self, source: &str) -> Result<Condition, ScriptError> {
        match rhai::Engine::new_raw().compile(source) {
            Ok(_) => Ok(Condition {}),
            Err(error) => Err(ScriptError {
                message: error.err_type().to_string(),
                line: error.position().line(),
                column: error.position().position(),
            }),
        }
    }
}

impl Condition {
    /// Evaluates the condition. Every error means "not matched".
    pub fn holds(&self, _sandbox: &Sandbox, _view: &EventView<'_>, _extra: Extra<'_>) -> Result<bool, ScriptError> {
        Ok(false)
    }
}
