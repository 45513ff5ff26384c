//! An event as rules see it, converted at most once for scripts and once for templates.
//!
//! Most rules of a set ask neither for a script nor for a template, so nothing is converted before somebody asks.

use std::sync::{Mutex, OnceLock, PoisonError};

use rhai::Scope;
use serde_json::{Map, Value};

use super::sandbox::to_dynamic;
use crate::event::Event;

/// The view of one event; hands out the converted forms, making each when it is first asked for.
#[derive(Debug)]
pub struct EventView<'e> {
    event: &'e Event,
    names: OnceLock<Map<String, Value>>,
    scope: OnceLock<Mutex<Scope<'static>>>,
}

impl<'e> EventView<'e> {
    /// A view of `event`; converts nothing yet.
    pub fn new(event: &'e Event) -> Self {
        Self { event, names: OnceLock::new(), scope: OnceLock::new() }
    }

    /// The event itself.
    pub fn event(&self) -> &'e Event {
        self.event
    }

    /// The names that rules see, as [`crate::event::view`] gives them. This is what templates read.
    pub fn names(&self) -> &Map<String, Value> {
        self.names.get_or_init(|| crate::event::view(self.event))
    }

    /// Hands `work` the scope that holds the names as constants. What `work` adds is taken out again, so the
    /// scope serves any number of scripts.
    pub(super) fn with_scope<T>(&self, work: impl FnOnce(&mut Scope<'static>) -> T) -> T {
        let scope = self.scope.get_or_init(|| {
            let mut scope = Scope::new();
            for (name, value) in self.names() {
                scope.push_constant_dynamic(name.as_str(), to_dynamic(value));
            }
            Mutex::new(scope)
        });
        let mut scope = scope.lock().unwrap_or_else(PoisonError::into_inner);
        let names = scope.len();
        let result = work(&mut scope);
        scope.rewind(names);
        result
    }
}
