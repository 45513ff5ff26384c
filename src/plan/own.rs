//! The steps of a rule for one event: those that it names, or those that its function returns.
//!
//! They are known before the guards are asked, since what their lists hold is what the guards count.

use std::borrow::Cow;
use std::sync::Arc;

use super::Plan;
use super::each::{EachItems, each_items};
use super::render::{PlanError, steps, target};
use crate::clock::Timestamp;
use crate::rule::Rule;
use crate::rule::sandbox::Sandbox;
use crate::rule::step::Step;
use crate::rule::view::EventView;

/// What a rule does for one event, not rendered yet.
#[derive(Debug, Clone)]
pub struct OwnSteps<'r> {
    /// The steps in order.
    pub steps: Cow<'r, [Arc<Step>]>,
    /// What their `each` go over.
    pub items: EachItems,
}

impl OwnSteps<'_> {
    /// Renders them.
    ///
    /// # Errors
    /// Everything that [`steps`] refuses.
    pub fn plan(&self, view: &EventView<'_>, target: &str, now: Timestamp) -> Result<Plan, PlanError> {
        steps(&self.steps, &self.items, view, target, now)
    }
}

/// The steps that `rule` itself names, or that its function returns for the event, and what their lists hold.
///
/// # Errors
/// What is wrong with the function or with what it returned, and everything that [`each_items`] refuses.
pub fn own_steps<'r>(
    rule: &'r Rule,
    sandbox: &Sandbox,
    view: &EventView<'_>,
    target: &str,
    now: Timestamp,
) -> Result<OwnSteps<'r>, PlanError> {
    let steps = match &rule.steps_from {
        None => Cow::Borrowed(rule.steps.as_slice()),
        Some(from) => {
            let returned = from.steps(sandbox, view, target, now);
            Cow::Owned(returned.map_err(|message| PlanError::new("steps_from", message))?)
        }
    };
    let items = each_items(&steps, sandbox, view, target, now)?;
    Ok(OwnSteps { steps, items })
}

/// What `rule` would do for the event: its target, and its own steps.
///
/// # Errors
/// Everything that [`target`], [`own_steps`] and [`steps`] refuse.
pub fn plan(rule: &Rule, sandbox: &Sandbox, view: &EventView<'_>, now: Timestamp) -> Result<Plan, PlanError> {
    let target = target(rule, view, now)?;
    own_steps(rule, sandbox, view, &target, now)?.plan(view, &target, now)
}
