//! Which rules an event concerns.

use std::sync::Arc;

use crate::rule::Rule;

/// Finds the rules that an event may concern.
#[derive(Debug, Default)]
pub struct Index;

impl Index {
    /// Builds the index over rules, which are addressed by their place in the slice.
    pub fn build(_rules: &[Arc<Rule>]) -> Self {
        Self
    }
}
