//! What counts are counted by.

use super::Reader;
use crate::rule::By;
use crate::rule::diagnostic::codes;
use crate::rule::yaml::Node;
use crate::rule::yaml::doc::Doc;
use crate::rule::yaml::fields::suggestion;

/// The words for what is counted by, with `labels.NAME` beside them where `labels` is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choices {
    pub(crate) words: &'static [(&'static str, By)],
    pub(crate) labels: bool,
}

/// For `rate` and `attempts`.
pub(crate) const RATE: Choices =
    Choices { words: &[("rule", By::Rule), ("target", By::Target), ("channel", By::Channel)], labels: true };
/// For `concurrency`.
pub(crate) const CONCURRENCY: Choices = RATE;
/// For `blast_radius`: counting targets by target would always give one.
pub(crate) const BLAST_RADIUS: Choices =
    Choices { words: &[("rule", By::Rule), ("channel", By::Channel)], labels: true };
/// For budgets, which know no single rule and no single labels; `rule` counts all rules as one.
pub(crate) const BUDGET: Choices =
    Choices { words: &[("rule", By::Rule), ("target", By::Target), ("channel", By::Channel)], labels: false };
/// For `threshold`: it is asked before the target is known to matter, but may count by it.
pub(crate) const THRESHOLD: Choices = Choices {
    words: &[
        ("rule", By::Rule),
        ("incident", By::Incident),
        ("alert", By::Alert),
        ("target", By::Target),
        ("channel", By::Channel),
    ],
    labels: true,
};
/// For `dedupe`.
pub(crate) const DEDUPE: Choices = Choices {
    words: &[
        ("incident", By::Incident),
        ("alert", By::Alert),
        ("target", By::Target),
        ("channel", By::Channel),
        ("event", By::Event),
    ],
    labels: true,
};

/// Reads one.
pub(crate) fn one(doc: &Doc, node: &Node, what: &str, choices: Choices) -> Option<By> {
    let text = doc.text(node, what)?;
    if let Some((_, by)) = choices.words.iter().find(|(word, _)| *word == text) {
        return Some(by.clone());
    }
    match text.strip_prefix("labels.") {
        Some(name) if choices.labels && !name.is_empty() => Some(By::Label(name.to_owned())),
        _ => {
            let mut words: Vec<&str> = choices.words.iter().map(|(word, _)| *word).collect();
            if choices.labels {
                words.push("labels.NAME");
            }
            let message = format!("{what} cannot be `{text}`");
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, suggestion(text, &words));
            None
        }
    }
}

/// Reads a list of them.
pub(super) fn list(reader: &Reader<'_>, node: &Node, what: &str, choices: Choices) -> Option<Vec<By>> {
    /// A key of more parts than this tells nothing more apart.
    const PARTS_MAX: usize = 16;
    let items = reader.doc.list(node, what, PARTS_MAX)?;
    let element = format!("an element of {what}");
    Some(items.iter().filter_map(|item| one(reader.doc, item, &element, choices)).collect())
}

/// Warns of a count by target where every incident is its own target.
pub(super) fn warn_without_target(reader: &Reader<'_>, node: &Node, what: &str) {
    reader.doc.warn(
        codes::COUNTS_WITHOUT_TARGET,
        node.span.clone(),
        format!("{what} counts by target, but the rule has no `target`, so that every incident is a target of its own"),
        "say what the rule acts on: `target: \"{{ labels.resource }}\"`",
    );
}
