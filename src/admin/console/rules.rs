//! Rules: how far each may go, and how it has fared.

use maud::{Markup, html};

use super::text::{badge, path, shown, time};
use super::{Page, Shown, Visit, pauses};
use crate::admin::api::rules::{RuleView, list_of, show_of};

/// The list of rules.
pub(super) async fn list(visit: &Visit) -> Shown {
    let rules = list_of(&visit.desk.handle).await?;
    let content = html! {
        @if rules.is_empty() { p.lead { "No rule is in force: nothing that comes in can lead to anything." } }
        @else {
            p.row { a.button href="/backtest" { "Try them on what came in" } }
            table {
                caption { "Rules in force, and how each has fared since the oldest record that is kept" }
                thead {
                    tr {
                        @for head in ["Rule", "Mode", "Hits", "Suppressed", "Last outcome", "Last run", "Breaker"] {
                            th scope="col" { (head) }
                        }
                    }
                }
                tbody #rules data-live="" { @for rule in &rules { (row(rule)) } }
            }
        }
    };
    Ok(Page { title: "Rules".into(), content })
}

fn row(rule: &RuleView) -> Markup {
    html! {
        tr #{ "rule-" (rule.rule) } {
            th scope="row" {
                a href=(path("rules", &rule.rule)) { (shown(&rule.rule)) }
                @if let Some(owner) = &rule.owner { span.quiet { (shown(owner)) } }
            }
            td data-label="Mode" { (badge(&rule.effective_mode)) }
            td.number data-label="Hits" { (rule.hits) }
            td.number data-label="Suppressed" { (rule.suppressed) }
            td data-label="Last outcome" { (last_outcome(rule)) }
            td data-label="Last run" { (last_run(rule)) }
            td data-label="Breaker" { (breaker(rule)) }
        }
    }
}

fn last_outcome(rule: &RuleView) -> Markup {
    html! {
        @match &rule.last_outcome {
            Some(last) => { a href=(path("events", &last.event)) { (badge(&last.outcome)) } " " (time(last.at)) },
            None => span.quiet { "none yet" },
        }
    }
}

fn last_run(rule: &RuleView) -> Markup {
    html! {
        @match &rule.last_run {
            Some(last) => { a href=(path("runs", &last.run)) { (badge(&last.state)) } " " (time(last.at)) },
            None => span.quiet { "none yet" },
        }
    }
}

fn breaker(rule: &RuleView) -> Markup {
    let breaker = &rule.breaker;
    html! {
        (badge(if breaker.open { "open" } else { "closed" }))
        @if let Some(until) = breaker.until { " until " (time(until)) }
        @else if breaker.failures > 0 { " " span.quiet { (breaker.failures) " of " (breaker.limit) " failures" } }
    }
}

/// One rule.
pub(super) async fn show(visit: &Visit, id: &str) -> Shown {
    let rule = show_of(&visit.desk.handle, id.to_owned()).await?;
    let content = html! {
        @if let Some(description) = &rule.description { p.lead { (shown(description)) } }
        dl.facts #rule data-live="" {
            div #mode {
                dt { "Mode" }
                dd {
                    (badge(&rule.effective_mode))
                    @if rule.mode != rule.effective_mode { " " span.quiet { "its own is " (rule.mode) ", the ceiling lowers it" } }
                }
            }
            @if let Some(owner) = &rule.owner { div #owner { dt { "Owner" } dd { (shown(owner)) } } }
            div #breaker { dt { "Breaker" } dd { (breaker(&rule)) } }
            div #events-of-it { dt { "Events" } dd { (shown(&rule.events.join(", "))) } }
            div #channels { dt { "Channels" } dd { (shown(&rule.channels.join(", "))) } }
            div #last-outcome { dt { "Last outcome" } dd { (last_outcome(&rule)) } }
            div #last-run { dt { "Last run" } dd { (last_run(&rule)) } }
            div #place { dt { "Stands in" } dd { code { (shown(&rule.place)) } } }
        }
        section aria-labelledby="holding" {
            h2 #holding { "Holding it back" }
            (pauses::of_rule(visit, &rule.rule))
            @if !visit.may_act() { p.quiet { "The read token cannot pause or resume it." } }
        }
        section aria-labelledby="fared" {
            h2 #fared { "How it has fared" }
            @if rule.outcomes.is_empty() { p.quiet { "Nothing that came in concerned it yet." } }
            @else {
                table.small {
                    caption { "How often each outcome came about" }
                    thead { tr { th scope="col" { "Outcome" } th.number scope="col" { "Times" } } }
                    tbody #outcomes data-live="" {
                        @for (outcome, times) in &rule.outcomes {
                            tr #{ "outcome-" (outcome) } { th scope="row" { (badge(outcome)) } td.number data-label="Times" { (times) } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page { title: rule.rule.clone(), content })
}
