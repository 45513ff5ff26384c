//! What a run is decided on once more: when its turn has come, when a person has it done again, after a crash.

use std::sync::Arc;

use super::Settings;
use crate::event::Event;
use crate::rule::RuleSet;

/// The event that led to a run, what is known of its entity since, and what is in force.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The event that led to it.
    pub trigger: &'a Arc<Event>,
    /// The event that brought the newest state of its entity, where that is another one.
    pub newest: Option<&'a Event>,
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The config's part.
    pub settings: &'a Settings,
}

impl Grounds<'_> {
    /// What happened then, with the state of now.
    ///
    /// # Errors
    /// The entity has closed since, in words: there is nothing left to act upon.
    pub fn event(&self) -> Result<Arc<Event>, String> {
        match self.newest {
            None => Ok(Arc::clone(self.trigger)),
            Some(newest) if newest.is_closed() && !self.trigger.is_closed() => {
                Err(format!("{} has closed since", self.trigger.entity))
            }
            Some(newest) => Ok(Arc::new(self.trigger.with_state_of(newest))),
        }
    }
}
