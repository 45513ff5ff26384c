//! `each`: the list that it goes over, and its steps for every item.
//!
//! The list is known before the guards are asked, so that they count what the run really acts upon, and everything that
//! shows a plan shows every item.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::render::{PlanError, planned, render, target_fault};
use super::{EachCall, EachTarget};
use crate::clock::Timestamp;
use crate::rule::sandbox::{Extra, Sandbox};
use crate::rule::step::{Action, EachSpec, Items, Step};
use crate::rule::template::TemplateNames;
use crate::rule::view::EventView;

/// How many items one `each` may go over. A list that is longer is most likely not the one that was meant.
pub const EACH_ITEMS_MAX: usize = 500;
/// How many steps an `each` may come to over all its items: all of them are in the plan, and the plan is in the journal.
pub const EACH_STEPS_MAX: usize = 2000;

/// What the `each` steps of a rule go over, by the place of the step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EachItems(BTreeMap<usize, Vec<String>>);

impl EachItems {
    /// All items, each once, in order.
    pub fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        all.extend(self.0.values().flatten().filter(|item| known.insert(item.as_str())).cloned());
        all
    }

    pub(super) fn of_step(&self, at: usize) -> &[String] {
        self.0.get(&at).map_or(&[], Vec::as_slice)
    }
}

/// What the `each` steps among `steps` go over.
///
/// # Errors
/// A script that fails or gives no list of texts, a template that cannot be rendered, a list that is empty or longer
/// than [`EACH_ITEMS_MAX`], an item that could not be a target, or that occurs twice.
pub fn each_items(
    steps: &[Arc<Step>],
    sandbox: &Sandbox,
    view: &EventView<'_>,
    target: &str,
    now: Timestamp,
) -> Result<EachItems, PlanError> {
    let mut found = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        if let Action::Each(spec) = &step.action {
            let items = items(spec, sandbox, view, target, now);
            let items = items.map_err(|error| PlanError { step: Some(at), name: step.name.clone(), ..error })?;
            found.insert(at, items);
        }
    }
    Ok(EachItems(found))
}

fn items(
    spec: &EachSpec,
    sandbox: &Sandbox,
    view: &EventView<'_>,
    target: &str,
    now: Timestamp,
) -> Result<Vec<String>, PlanError> {
    let refuse = |why: String| Err(PlanError::new("each.in", why));
    let items = match &spec.items {
        Items::Script(script) => {
            let extra = Extra { target: Some(target), now, names: &[] };
            script.list(sandbox, view, extra).map_err(|error| PlanError::new("each.in", error.to_string()))?
        }
        Items::Written(items) => {
            let names = TemplateNames { view, target: Some(target), now, names: &[] };
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| render(item, &names, || format!("each.in[{at}]")));
            items.collect::<Result<_, _>>()?
        }
    };
    if items.is_empty() {
        return refuse("the list is empty, and nothing would be done".into());
    }
    if items.len() > EACH_ITEMS_MAX {
        return refuse(format!("the list has {} items, the limit is {EACH_ITEMS_MAX}", items.len()));
    }
    if items.len() * spec.steps.len() > EACH_STEPS_MAX {
        let (items, steps) = (items.len(), spec.steps.len());
        return refuse(format!("{steps} steps for each of {items} items are more than {EACH_STEPS_MAX}"));
    }
    let mut known = std::collections::HashSet::new();
    for item in &items {
        if let Some(fault) = target_fault("an item", item) {
            return refuse(fault);
        }
        if !known.insert(item.as_str()) {
            return refuse(format!("{item:?} occurs twice in the list"));
        }
    }
    Ok(items)
}

/// An `each`, rendered for `items`.
///
/// # Errors
/// What rendering a step refuses, with the item for which it does.
pub(super) fn each(spec: &EachSpec, items: &[String], names: &TemplateNames<'_>) -> Result<EachCall, PlanError> {
    let mut targets = Vec::with_capacity(items.len());
    for item in items {
        let own = [(spec.name.as_str(), Value::from(item.as_str()))];
        let names = TemplateNames { names: &own, ..*names };
        let mut steps = Vec::with_capacity(spec.steps.len());
        for (at, step) in spec.steps.iter().enumerate() {
            let step = planned(step, &[], &names).map_err(|error| PlanError {
                field: format!("each.steps[{at}] for {item:?}, {}", error.field),
                ..error
            })?;
            steps.push(step);
        }
        targets.push(EachTarget { item: item.clone(), steps });
    }
    Ok(EachCall { name: spec.name.clone(), batch: spec.batch, tolerance: spec.tolerance, targets })
}
