//! Rendering.

/// Why.
#[derive(Debug)]
pub struct PlanError;
/// What.
#[derive(Debug)]
pub struct RenderContext;
/// x
pub fn plan() {}
/// y
pub fn render_step() {}
