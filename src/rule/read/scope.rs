//! What a place in a rule knows besides the event: the steps that have run before it, and the item of an `each`.

use std::sync::Arc;

use crate::rule::step::Step;
use crate::rule::yaml::fields::suggestion;

/// What is known at a place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scope<'a> {
    /// The names of the steps that have run; `None` where none can have.
    pub(super) steps: Option<&'a [String]>,
    /// Whether a script returns the steps that ran before, so that their names are known only then.
    pub(super) returned: bool,
    /// What the item is called inside an `each`.
    pub(super) item: Option<&'a str>,
    /// Whether an `each` may stand here.
    pub(super) each: bool,
}

/// Why a step cannot be read where it is named.
#[derive(Debug)]
pub(super) struct UnknownStep {
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: String,
}

impl<'a> Scope<'a> {
    /// The step that a path behind `steps.` reads, and what it reads of it.
    pub(super) fn step_in<'p>(&self, path: &'p str) -> Option<(&'a str, &'p str)> {
        // The name of a step may hold dots itself.
        self.steps?.iter().find_map(|name| Some((name.as_str(), path.strip_prefix(name.as_str())?.strip_prefix('.')?)))
    }

    /// What is wrong with `path`, if it reads a step that has not run: its name would be an error each time.
    pub(super) fn unknown_step(&self, path: &str) -> Option<UnknownStep> {
        let rest = match path.strip_prefix("steps") {
            Some("") => "",
            Some(rest) => rest.strip_prefix('.')?,
            None => return None,
        };
        let Some(ran) = self.steps else {
            let message = "`steps` is not known here: no step has run yet".to_owned();
            return Some(UnknownStep { message, hint: "ask for it in `if`, or in a template of a later step".into() });
        };
        // The name of a step may hold dots itself.
        let is_named = |name: &String| {
            rest.strip_prefix(name.as_str()).is_some_and(|behind| behind.is_empty() || behind.starts_with('.'))
        };
        if rest.is_empty() || self.returned || ran.iter().any(is_named) {
            return None;
        }
        let name = rest.split('.').next().unwrap_or(rest);
        let message = format!("no step named `{name}` has run before this one");
        let names: Vec<&str> = ran.iter().map(String::as_str).collect();
        let hint = if names.is_empty() { "give an earlier step this `name`".into() } else { suggestion(name, &names) };
        Some(UnknownStep { message, hint })
    }
}

/// The names of these steps.
pub(super) fn names(steps: &[Arc<Step>]) -> Vec<String> {
    steps.iter().filter_map(|step| step.name.clone()).collect()
}
