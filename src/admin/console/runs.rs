//! Runs: the list, and one with its steps, their output and how long they took.

use maud::{Markup, html};

use super::approvals::ask;
use super::steps::steps;
use super::text::{badge, left, link, path, plan, shown, time, took};
use super::{Page, Shown, Visit};
use crate::admin::api::Page as Rows;
use crate::admin::api::runs::{list_of, story};
use crate::admin::api::state::REASON_CHARS_MAX;
use crate::admin::api::{ApiError, LIST_DEFAULT, LIST_MAX};
use crate::admin::views::RunView;

/// The list of runs.
pub(super) async fn list(visit: &Visit) -> Shown {
    let before = visit.query.number("before").map_err(ApiError::BadRequest)?;
    // Those that wait or act come before a whole page of those that ended.
    let live = if before.is_none() { visit.status.runs_active + visit.status.runs_waiting } else { 0 };
    let limit = (LIST_DEFAULT + live).min(LIST_MAX);
    let runs = list_of(&visit.desk.handle, Rows { limit, before }).await?;
    let oldest = runs.last().and_then(|run| run.seq);
    let content = html! {
        @if runs.is_empty() { p.lead { "Nothing ran yet." } }
        ul #runs.cards data-live=[before.is_none().then_some("")] { @for run in &runs { (brief(run)) } }
        nav.pager aria-label="Older and newer" {
            @if before.is_some() { a href="/runs" { "Newest" } }
            @if let Some(oldest) = oldest.filter(|_| runs.len() >= limit) {
                a href={ "/runs?before=" (oldest) } { "Older" }
            }
        }
    };
    Ok(Page { title: "Runs".into(), content })
}

/// A run in a list.
pub(super) fn brief(run: &RunView) -> Markup {
    html! {
        li #{ "run-" (run.run) } {
            (badge(&run.state))
            a.title href=(path("runs", &run.run)) { (shown(&run.rule)) " on " (shown(&run.target)) }
            span.facts {
                code { (shown(&run.run)) }
                (time(run.since))
                @if let Some(ms) = run.duration_ms { span { "took " (took(ms)) } }
            }
            @if let Some(error) = &run.error { span.reason { (shown(error)) } }
        }
    }
}

/// The state of a run.
pub(super) fn state(run: &RunView) -> Markup {
    html! { (badge(&run.state)) " since " (time(run.since)) }
}

/// One run.
pub(super) async fn show(visit: &Visit, id: &str) -> Shown {
    let told = story(&visit.desk.handle, id.to_owned()).await?;
    let run = &told.run;
    let now = visit.desk.handle.now();
    // What its steps print is no record of the journal, so the script asks for it.
    let may_print = matches!(run.state.as_str(), "queued" | "held" | "awaiting-approval" | "running");
    let follows = may_print.then_some(run.run.as_str());
    let content = html! {
        div #run data-live="" data-run=[follows] {
            dl.facts #facts {
                div { dt { "State" } dd { (state(run)) } }
                div { dt { "Rule" } dd { (link("rules", &run.rule)) } }
                div { dt { "Target" } dd { strong { (shown(&run.target)) } } }
                @if let Some(event) = &run.event { div { dt { "Event" } dd { (link("events", event)) } } }
                @if let Some(ms) = run.duration_ms { div { dt { "Took" } dd { (took(ms)) } } }
                @if let Some(until) = run.until { div { dt { "Waits at most" } dd { (left(now, until)) } } }
                div { dt { "Run" } dd { code { (shown(&run.run)) } } }
            }
            @if let Some(error) = &run.error { p.reason #error { (shown(error)) } }
            div #acts { (acts(visit, run)) }
            @if !told.said.is_empty() {
                section #said aria-labelledby="said-to-it" {
                    h2 #said-to-it { "What befell it" }
                    ul.plain { @for said in &told.said { li { (time(said.at)) " " (shown(&said.what)) } } }
                }
            }
            section #steps aria-labelledby="steps-of-it" {
                h2 #steps-of-it { "Steps" }
                @if told.steps.is_empty() { p.quiet #none { "No step was started." } }
                (steps(&told, true))
            }
        }
        @if let Some(what) = &told.plan {
            section aria-labelledby="plan" {
                h2 #plan { "Plan" }
                (plan(what))
            }
        }
    };
    Ok(Page { title: format!("{} on {}", run.rule, run.target), content })
}

/// What a person can do to a run as it stands.
fn acts(visit: &Visit, run: &RunView) -> Markup {
    let page = path("runs", &run.run);
    let reason = |id: &str| {
        html! {
            div.field {
                label for=(id) { "Reason " span.quiet { "(optional, for the record)" } }
                input id=(id) type="text" name="reason" maxlength=(REASON_CHARS_MAX) autocomplete="off";
            }
        }
    };
    html! {
        @match run.state.as_str() {
            "awaiting-approval" => (ask(visit, run)),
            _ if !visit.may_act() => {},
            "queued" | "held" | "running" => (visit.form(&format!("{page}/cancel"), html! {
                (reason("why"))
                button.danger type="submit" { "Call off this run" }
            })),
            _ => details #again {
                summary { "Do it again" }
                p { "What it did is decided upon afresh, by the rules and the guards of now, and runs as a new run." }
                (visit.form(&format!("{page}/rerun"), html! {
                    (reason("why-again"))
                    div.field.check {
                        input #sure type="checkbox" name="sure" value="true" required;
                        label for="sure" {
                            "what " strong { (shown(&run.rule)) } " did to " strong { (shown(&run.target)) } " may be done again"
                        }
                    }
                    button.danger type="submit" { "Do it again" }
                }))
            },
        }
    }
}
