//! One event: what it is, what was decided, and for every rule each clause held against it.

use std::collections::HashMap;
use std::sync::Arc;

use maud::{Markup, html};

use super::feed::led_to;
use super::runs::brief;
use super::text::{badge, document, link, path, plan, shown, time};
use super::{Page, Shown, Visit};
use crate::admin::api::ApiError;
use crate::admin::api::events::{EventStory, story};
use crate::admin::api::explain::{Answer, of_recorded};
use crate::admin::views::RuleDecisionView;
use crate::decide::explain::{GuardExplanation, RuleExplanation, WhenExplanation, explain};
use crate::decide::{Question, Scope};
use crate::engine::decider::InForce;
use crate::engine::event_of;
use crate::event::Event;
use crate::journal::history::History;
use crate::rule::sandbox::{Part, Verdict};

/// The page of an event. Which clauses hold is told at once; the guards are asked on request, since for that the
/// journal is folded up to the event.
pub(super) async fn show(visit: &Visit, id: &str) -> Shown {
    let handle = &visit.desk.handle;
    let told = story(handle, id.to_owned()).await?;
    let asked = visit.query.text("ask");
    let rules = match asked {
        Some(when @ ("then" | "now")) => {
            let answer = of_recorded(&visit.desk, id.to_owned(), None, when == "now").await?;
            answered(&answer)
        }
        Some(other) => return Err(ApiError::BadRequest(format!("`ask` is `then` or `now`, not `{other}`"))),
        None => {
            let push = handle.read({
                let id = id.to_owned();
                move |reader| reader.push(&id)
            });
            match push.await?.as_ref().and_then(event_of) {
                Some(event) => marked(&told, handle.in_force(), event).await?,
                None => html! { p.quiet { "Its body is not kept any more, so the rules cannot be asked." } },
            }
        }
    };
    let content = html! {
        (facts(&told))
        section #decision aria-labelledby="decided" data-live="" {
            h2 #decided { "What was decided" }
            (led_to(&told.event))
        }
        @if !told.runs.is_empty() {
            section #runs aria-labelledby="runs-of-it" data-live="" {
                h2 #runs-of-it { "Runs" }
                ul.cards { @for run in &told.runs { (brief(&run.run)) } }
            }
        }
        section aria-labelledby="why" {
            h2 #why { "Every rule" }
            p.quiet {
                @match asked {
                    Some("then") => "The rules in force, asked on the history just before this event was decided.",
                    Some(_) => "The rules in force, asked on the history of now.",
                    None => "Each clause of the rules in force, held against this event.",
                }
            }
            p.row {
                a.button href=(path("events", id)) aria-current=[asked.is_none().then_some("true")] { "Clauses" }
                a.button href={ (path("events", id)) "?ask=then" } aria-current=[(asked == Some("then")).then_some("true")] { "Ask as of then" }
                a.button href={ (path("events", id)) "?ask=now" } aria-current=[(asked == Some("now")).then_some("true")] { "Ask as of now" }
            }
            (rules)
        }
        @if let Some(body) = &told.body {
            section aria-labelledby="body" {
                h2 #body { "Body" }
                details { summary { "What was received" } (document(body)) }
            }
        }
    };
    Ok(Page { title: told.event.title.unwrap_or_else(|| format!("Event {id}")), content })
}

fn facts(told: &EventStory) -> Markup {
    let event = &told.event;
    html! {
        dl.facts {
            div { dt { "Event" } dd { code { (shown(&event.event)) } } }
            div { dt { "Type" } dd { code { (shown(&event.event_type)) } } }
            @if let Some(severity) = &event.severity { div { dt { "Severity" } dd { (badge(severity)) } } }
            @if let Some(incident) = &event.incident { div { dt { "Incident" } dd { (link("incidents", incident)) } } }
            @if !event.entity.starts_with("incident:") { div { dt { "About" } dd { (shown(&event.entity)) } } }
            @if let Some(channel) = &event.channel {
                div { dt { "Channel" } dd { (shown(channel)) " " a href=(pause(channel)) { "pause it…" } } }
            }
            div { dt { "Received" } dd { (time(event.received_at)) " from " (shown(&event.source)) } }
            div { dt { "Its time" } dd { (time(event.time)) } }
            div { dt { "In the journal" } dd { (event.seq) } }
        }
    }
}

/// Where a channel is paused.
fn pause(channel: &str) -> String {
    let channel: String = form_urlencoded::byte_serialize(channel.as_bytes()).collect();
    format!("/engine?channel={channel}#pauses")
}

/// Every rule in force with its clauses and its script, beside what was recorded of it. Asked without any history, so
/// that it takes no time: what guards say is left out.
async fn marked(told: &EventStory, in_force: Arc<InForce>, event: Event) -> Result<Markup, ApiError> {
    let at = event.received_at;
    let asked = tokio::task::spawn_blocking(move || {
        let question = Question {
            event: &event,
            seq: 1,
            newest: None,
            rules: &in_force.rules,
            settings: &in_force.settings,
            scope: Scope::Every,
        };
        explain(&question, History::default(), at, None).rules
    });
    let mut rules = asked.await.map_err(|error| ApiError::Failed(format!("asking the rules ended early: {error}")))?;
    let decided = told.event.decision.iter().flat_map(|decision| &decision.rules);
    let recorded: HashMap<&str, &RuleDecisionView> = decided.map(|rule| (rule.rule.as_str(), rule)).collect();
    for rule in &mut rules {
        rule.guards.clear();
        match recorded.get(rule.rule.as_str()) {
            Some(known) => {
                rule.outcome.clone_from(&known.outcome);
                rule.because.clone_from(&known.because);
                rule.reason.clone_from(&known.reason);
                rule.until = known.until;
                rule.plan.clone_from(&known.plan);
            }
            None if matches!(rule.outcome.as_str(), "not-matched" | "condition-error") => {}
            // By the rules of now it would be asked; what would have come of it is not known here.
            None => {
                rule.outcome = "matches".into();
                (rule.because, rule.reason, rule.until) = (None, None, None);
            }
        }
    }
    Ok(explanations(rules))
}

fn answered(answer: &Answer) -> Markup {
    html! {
        @if let Some(newest) = answer.current.late_since {
            p { "Late: a newer event of the same entity, of " (time(newest)) ", came before." }
        }
        (explanations(answer.current.rules.clone()))
    }
}

/// The rules that came furthest first.
fn explanations(mut rules: Vec<RuleExplanation>) -> Markup {
    let holding = |rule: &RuleExplanation| rule.clauses.iter().filter(|clause| clause.holds).count();
    rules.sort_by_key(|rule| (rule.outcome == "not-matched", std::cmp::Reverse(holding(rule))));
    html! {
        @if rules.is_empty() { p.quiet { "There is no rule to ask." } }
        @for rule in &rules { (explanation(rule)) }
    }
}

fn explanation(rule: &RuleExplanation) -> Markup {
    html! {
        details.rule open[rule.outcome != "not-matched" && rule.outcome != "off"] {
            summary { (badge(&rule.outcome)) " " strong { (shown(&rule.rule)) } " " span.quiet { "mode " (rule.mode) } }
            @if let Some(reason) = &rule.reason {
                p.reason { (shown(reason)) @if let Some(until) = rule.until { " (until " (time(until)) ")" } }
            }
            ul.clauses {
                @for clause in &rule.clauses {
                    li.(if clause.holds { "holds" } else { "fails" }) {
                        span.mark { @if clause.holds { "holds" } @else { "fails" } }
                        span { code { (shown(&clause.clause)) } " " (shown(&clause.expected)) }
                        span.seen { "has " (shown(&clause.seen)) }
                    }
                }
                @if let Some(when) = &rule.when { (script(when)) }
                @for guard in &rule.guards { (guard_says(guard)) }
            }
            @if let Some(target) = &rule.target { p { "Target " strong { (shown(target)) } } }
            @if let Some(what) = &rule.plan { (plan(what)) }
            p.quiet {
                a href=(path("rules", &rule.rule)) { "The rule" } ", " code { (shown(&rule.place)) }
                @if let Some(owner) = &rule.owner { ", owner " (shown(owner)) }
            }
        }
    }
}

/// The script of a rule: as a whole, and each part of it that was asked.
fn script(when: &WhenExplanation) -> Markup {
    let (class, word) = match when.holds {
        Some(true) => ("holds", "holds"),
        Some(false) => ("fails", "fails"),
        None => ("fails", "error"),
    };
    html! {
        li.(class) {
            span.mark { (word) }
            span { code { "when" } " " code { (shown(when.source.trim())) } }
            span.seen { @if let Some(error) = &when.error { (shown(error)) } }
        }
        // A single part would repeat the whole.
        @if when.parts.len() > 1 { @for part in &when.parts { (part_of(part)) } }
    }
}

fn part_of(part: &Part) -> Markup {
    let (class, word) = match part.verdict {
        Verdict::True => ("holds", "holds"),
        Verdict::False => ("fails", "fails"),
        Verdict::Error(_) => ("fails", "error"),
        Verdict::NotAsked => ("idle", "not asked"),
    };
    let seen: Vec<String> = part.seen.iter().map(ToString::to_string).collect();
    html! {
        li.part.(class) {
            span.mark { (word) }
            code { (shown(&part.expression)) }
            span.seen {
                @if let Verdict::Error(message) = &part.verdict { (shown(message)) " " }
                (shown(&seen.join(", ")))
            }
        }
    }
}

/// What a guard says.
fn guard_says(guard: &GuardExplanation) -> Markup {
    let class = match guard.verdict.as_str() {
        "pass" => "holds",
        "object" => "fails",
        _ => "idle",
    };
    html! {
        li.(class) {
            span.mark { (guard.verdict) }
            span { "guard " code { (shown(&guard.guard)) } }
            span.seen {
                @if let Some(reason) = &guard.reason { (shown(reason)) }
                @if let Some(until) = guard.until { " until " (time(until)) }
            }
        }
    }
}
