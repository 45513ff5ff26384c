//! `dedupe`, with its defaults.

use super::{Reader, by};
use crate::rule::diagnostic::codes;
use crate::rule::matching::{Match, NamePattern};
use crate::rule::yaml::fields::Fields;
use crate::rule::yaml::{Kind, Node};
use crate::rule::{By, Dedupe, DedupeFor};

/// Reads `dedupe`; `None` gives the default.
pub(super) fn read(reader: &Reader<'_>, node: Option<&Node>, matching: &Match, has_target: bool) -> Dedupe {
    let default = Dedupe { by: default_by(matching), lasts: DedupeFor::Incident };
    let Some(fields) = node.and_then(|node| Fields::open(reader.doc, node, "`dedupe`")) else { return default };
    let by_node = fields.get("by");
    let by = by_node.and_then(|node| by::list(reader, node, "`dedupe.by`", by::DEDUPE));
    if let (Some(node), Some(by), false) = (by_node, &by, has_target)
        && by.contains(&By::Target)
    {
        by::warn_without_target(reader, node, "`dedupe`");
    }
    let by = by.unwrap_or(default.by);
    let lasts_node = fields.get("for");
    let lasts = lasts_node.and_then(|node| lasts(reader, node));
    let forever = match (lasts_node, lasts) {
        (None, _) | (_, Some(DedupeFor::Incident)) => true,
        (Some(_), _) => false,
    };
    if forever && !by.iter().any(|part| matches!(part, By::Incident | By::Alert | By::Event)) && !by.is_empty() {
        reader.doc.error_hint(
            codes::DEDUPE_KEY,
            lasts_node.or(by_node).map_or_else(|| fields.head(), Node::head),
            "a slot that lasts until its incident closes must have `incident` or `alert` in `by`",
            "add `incident` to `by`, or give the slot a time: `for: 1h`",
        );
    }
    fields.close();
    Dedupe { by, lasts: lasts.unwrap_or(DedupeFor::Incident) }
}

/// A second press of a button is meant, so a rule for the button alone tells events apart.
fn default_by(matching: &Match) -> Vec<By> {
    let is_custom = |pattern: &NamePattern| matches!(pattern, NamePattern::Exact(name) if name == "i_custom");
    match &matching.events {
        Some(events) if !events.is_empty() && events.iter().all(is_custom) => vec![By::Event],
        _ => vec![By::Incident],
    }
}

fn lasts(reader: &Reader<'_>, node: &Node) -> Option<DedupeFor> {
    match &node.kind {
        Kind::Text { text, .. } if text == "incident" => Some(DedupeFor::Incident),
        _ => reader.doc.duration(node, "`dedupe.for`").map(DedupeFor::Time),
    }
}
