//! The keys that guards count by.

use super::{Consent, Objection, Proposal, Verdict};
use crate::event::{Entity, Event};
use crate::rule::By;

/// A key cannot be made because the event lacks what it is made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is counted by `{by}`, and the event has no such value")]
pub struct KeyError {
    by: By,
}

/// The key of an event and target for one `by`: `rule`, `target:db-07`, `channel:5`, `labels.service:x`.
pub fn key(by: &By, event: &Event, target: &str) -> Result<String, KeyError> {
    match by {
        By::Rule => Ok("rule".into()),
        By::Target => Ok(format!("target:{target}")),
        By::Incident => Ok(incident(event).to_string()),
        By::Alert => Ok(match &event.alert_id {
            Some(id) => Entity::Alert(id.clone()).to_string(),
            None => event.entity.to_string(),
        }),
        By::Channel => Ok(match event.channel_id() {
            Some(id) => format!("channel:{id}"),
            // Incidents outside any channel are one group, so that a cap holds for them as well.
            None => "channel:none".into(),
        }),
        By::Label(name) => match event.labels().get(name).and_then(crate::event::Item::as_str) {
            Some(value) => Ok(format!("labels.{name}:{value}")),
            None => Err(KeyError { by: by.clone() }),
        },
        By::Event => Ok(format!("event:{}", event.id)),
    }
}

/// The key of a dedupe slot: all its parts.
pub fn dedupe_key(by: &[By], event: &Event, target: &str) -> Result<String, KeyError> {
    let parts: Result<Vec<String>, KeyError> = by.iter().map(|by| key(by, event, target)).collect();
    Ok(parts?.join(" "))
}

/// The keys of a proposal for one `by`: a single one, but for `target` one for everything that it would touch.
pub(super) fn keys(by: &By, proposal: &Proposal<'_>) -> Result<Vec<String>, KeyError> {
    match by {
        By::Target => proposal.touched().map(|target| key(by, proposal.event, target)).collect(),
        other => Ok(vec![key(other, proposal.event, proposal.target)?]),
    }
}

/// Asks for one key after the other; the first that does not pass is the answer. A key that cannot be made is an
/// objection of `guard`.
pub(super) fn first_objection(
    guard: &str,
    keys: Result<Vec<String>, KeyError>,
    ask: impl Fn(&str) -> Verdict,
) -> Verdict {
    match keys {
        Ok(keys) => keys.iter().map(|key| ask(key)).find(|verdict| *verdict != Verdict::Pass).unwrap_or(Verdict::Pass),
        Err(error) => Verdict::Object(Objection::new(guard, error.to_string(), None)),
    }
}

/// The keys of a count across rules; there `rule` means all of them.
pub(super) fn engine_keys(by: &By, proposal: &Proposal<'_>) -> Result<Vec<String>, KeyError> {
    match by {
        By::Rule => Ok(vec!["all".into()]),
        other => keys(other, proposal),
    }
}

/// The keys that the proposed run's own rule counts it by, each once.
pub fn rule_keys(proposal: &Proposal<'_>, consent: &Consent) -> Vec<String> {
    let guards = &proposal.rule.guards;
    let by = [
        Some(&guards.rate.by),
        guards.blast_radius.as_ref().map(|radius| &radius.by),
        guards.attempts.as_ref().map(|attempts| &attempts.by),
    ];
    let mut all: Vec<String> = by.into_iter().flatten().filter_map(|by| keys(by, proposal).ok()).flatten().collect();
    if let Some(attempts) = guards.attempts.as_ref().filter(|_| consent.escalate)
        && let Ok(keys) = keys(&attempts.by, proposal)
    {
        all.extend(keys.iter().map(|key| super::attempts::escalation_key(key)));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The keys that the budgets count the proposed run by, each once.
pub fn budget_keys(proposal: &Proposal<'_>) -> Vec<String> {
    let budgets = proposal.settings.budgets.iter();
    let mut all: Vec<String> = budgets
        .flat_map(|budget| [budget.rate.as_ref().map(|rate| &rate.by), budget.blast_radius.as_ref().map(|cap| &cap.by)])
        .flatten()
        .filter_map(|by| engine_keys(by, proposal).ok())
        .flatten()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The incident of an event; an alert without one counts as its own.
fn incident(event: &Event) -> Entity {
    match &event.incident_id {
        Some(id) => Entity::Incident(id.clone()),
        None => event.entity.clone(),
    }
}
