//! Rendering for the runner, by the same functions that plan.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::plan::{self, Call};
use crate::rule::step::Step;
use crate::rule::template::TemplateNames;
use crate::rule::view::EventView;
use crate::runner::{Intent, Planner};

/// Where processes think that they are at home, unless the daemon itself knows better.
const HOME: &str = "/";

/// Renders with [`crate::plan`].
#[derive(Debug)]
pub(super) struct Rendering {
    home: String,
}

impl Rendering {
    pub(super) fn new() -> Self {
        Self { home: std::env::var("HOME").unwrap_or_else(|_| HOME.into()) }
    }
}

impl Planner for Rendering {
    fn render(&self, step: &Step, intent: &Intent, names: &[(&str, Value)], now: Timestamp) -> Result<Call, String> {
        let view = EventView::new(&intent.event);
        let names = TemplateNames { view: &view, target: Some(&intent.plan.target), now, names };
        plan::render_step(step, &names).map_err(|error| error.to_string())
    }

    fn environment(&self, intent: &Intent) -> BTreeMap<String, String> {
        // `STANCH_ATTEMPT` is the runner's to set; it knows which try it is.
        let (variables, left_out) =
            plan::environment(&intent.event, &intent.plan.target, &intent.run, &intent.rule.id, 1, &self.home);
        if !left_out.is_empty() {
            let names = crate::report::printable(&left_out.join(", ")).into_owned();
            tracing::warn!(run = %intent.run, names, "labels that meet in one variable were left out of the environment");
        }
        variables
    }
}
