//! What comes in, and what each of it led to, as it happens.

use maud::{Markup, html};

use super::text::{badge, link, path, shown, time};
use super::{Page, Shown, Visit};
use crate::admin::api::Page as Rows;
use crate::admin::api::events::list_of;
use crate::admin::api::{ApiError, LIST_DEFAULT};
use crate::admin::views::{EventView, RuleDecisionView};

/// The live page.
pub(super) async fn show(visit: &Visit) -> Shown {
    let before = visit.query.number("before").map_err(ApiError::BadRequest)?;
    let events = list_of(&visit.desk.handle, Rows { limit: LIST_DEFAULT, before }).await?;
    let oldest = events.last().map(|event| event.seq);
    let status = &visit.status;
    let content = html! {
        @if before.is_none() {
            ul #figures.figures data-live="" {
                li #acting { strong { (status.runs_active) } " acting" }
                li #waiting { strong { (status.runs_waiting) } " waiting" }
                li #asking {
                    a href="/approvals" { strong { (status.approvals_waiting) } " to approve" }
                }
                li #rules { strong { (status.rules) } " rules" }
            }
        }
        @if events.is_empty() {
            p.lead { @if before.is_none() { "Nothing came in yet." } @else { "There is nothing older." } }
        }
        ol #events.feed data-live=[before.is_none().then_some("")] {
            @for event in &events { (row(event)) }
        }
        nav.pager aria-label="Older and newer" {
            @if before.is_some() { a href="/" { "Newest" } }
            @if let Some(oldest) = oldest.filter(|_| events.len() == LIST_DEFAULT) {
                a href={ "/?before=" (oldest) } { "Older" }
            }
        }
    };
    Ok(Page { title: "Live".into(), content })
}

/// An event in a list: what it is, and what it led to.
pub(super) fn row(event: &EventView) -> Markup {
    let title = event.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or("(no title)");
    html! {
        li #{ "event-" (event.seq) } {
            article {
                h2 { a href=(path("events", &event.event)) { (shown(title)) } }
                p.facts {
                    code { (shown(&event.event_type)) }
                    @if let Some(severity) = &event.severity { (badge(severity)) }
                    @if let Some(channel) = &event.channel { span { (shown(channel)) } }
                    @if let Some(incident) = &event.incident { span { "incident " (link("incidents", incident)) } }
                    (time(event.received_at))
                }
                (led_to(event))
            }
        }
    }
}

/// What an event led to, rule by rule.
pub(super) fn led_to(event: &EventView) -> Markup {
    html! {
        @match &event.decision {
            None => p.quiet { "Not decided yet." },
            Some(decision) if decision.late_since.is_some() => p.quiet { "Late: a newer event of the same entity came before." },
            Some(decision) if decision.rules.is_empty() => p.quiet { "It concerned no rule." },
            Some(decision) => ul.outcomes { @for rule in &decision.rules { li { (outcome(rule)) } } },
        }
    }
}

/// What became of one rule.
fn outcome(rule: &RuleDecisionView) -> Markup {
    html! {
        (badge(&rule.outcome)) " "
        (link("rules", &rule.rule))
        @if let Some(target) = &rule.target { " on " strong { (shown(target)) } }
        @if let Some(run) = &rule.run { " as " a.id href=(path("runs", run)) { (shown(run)) } }
        @if let Some(reason) = &rule.reason { span.reason { (shown(reason)) } }
    }
}
