//! Rendering.
use super::*;
use crate::clock::Timestamp;
use crate::rule::{Rule, step::Step, view::EventView};
use std::sync::Arc;
/// Why.
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PlanError;
/// What.
#[derive(Debug)]
pub struct RenderContext;
/// x
pub fn plan() {}
/// y
pub fn render_step() {}
/// t
pub fn target(_: &Rule, _: &EventView<'_>, _: Timestamp) -> Result<String, PlanError> {
    Err(PlanError)
}
/// t
pub fn steps(_: &[Arc<Step>], _: &EventView<'_>, _: &str, _: Timestamp) -> Result<Plan, PlanError> {
    Err(PlanError)
}
impl Plan {
    /// j
    pub fn to_json(&self) -> Value {
        Value::Null
    }
}
