//! The keys that guards count by.

use super::{Consent, Proposal};
use crate::config::Budget;
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

/// The key of a count across rules; there `rule` means all of them.
pub fn engine_key(by: &By, event: &Event, target: &str) -> Result<String, KeyError> {
    match by {
        By::Rule => Ok("all".into()),
        other => key(other, event, target),
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
    let mut keys: Vec<String> =
        by.into_iter().flatten().filter_map(|by| key(by, proposal.event, proposal.target).ok()).collect();
    if let Some(attempts) = guards.attempts.as_ref().filter(|_| consent.escalate)
        && let Ok(key) = key(&attempts.by, proposal.event, proposal.target)
    {
        keys.push(super::attempts::escalation_key(&key));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The keys that `budgets` count an event and target by, each once.
pub fn budget_keys(budgets: &[Budget], event: &Event, target: &str) -> Vec<String> {
    let mut keys: Vec<String> = budgets
        .iter()
        .flat_map(|budget| [budget.rate.as_ref().map(|rate| &rate.by), budget.blast_radius.as_ref().map(|cap| &cap.by)])
        .flatten()
        .filter_map(|by| engine_key(by, event, target).ok())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The incident of an event; an alert without one counts as its own.
fn incident(event: &Event) -> Entity {
    match &event.incident_id {
        Some(id) => Entity::Incident(id.clone()),
        None => event.entity.clone(),
    }
}
