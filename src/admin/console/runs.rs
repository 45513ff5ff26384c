//! Runs: the list, and one with its steps, their output and how long they took.

use maud::{Markup, html};

use super::approvals::ask;
use super::text::{badge, left, lines, link, path, plan, shown, time, took};
use super::{Page, Shown, Visit};
use crate::admin::api::Page as Rows;
use crate::admin::api::runs::{list_of, story};
use crate::admin::api::{ApiError, LIST_DEFAULT, LIST_MAX};
use crate::admin::views::{RunStory, RunView, StepView};
use crate::journal::record::{Phase, StepEnd, StepResult};

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
    let is_live = matches!(run.state.as_str(), "queued" | "held" | "awaiting-approval" | "running");
    let content = html! {
        div #run data-live="" {
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
            div #acts {
                @if run.state == "awaiting-approval" { (ask(visit, run)) }
                @if is_live && visit.may_act() && run.state != "awaiting-approval" {
                    (visit.form(&format!("{}/cancel", path("runs", &run.run)), html! {
                        div.field {
                            label for="why" { "Reason " span.quiet { "(optional, for the record)" } }
                            input #why type="text" name="reason" maxlength=(crate::admin::api::state::REASON_CHARS_MAX) autocomplete="off";
                        }
                        button.danger type="submit" { "Call off this run" }
                    }))
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

/// The steps of a run, with or without their output.
pub(super) fn steps(told: &RunStory, with_output: bool) -> Markup {
    html! {
        @if !told.steps.is_empty() {
            ol.steps {
                @for (nth, step) in told.steps.iter().enumerate() { (one(step, &format!("{}-{nth}", told.run.run), with_output)) }
            }
        }
    }
}

fn one(step: &StepView, id: &str, with_output: bool) -> Markup {
    let word = step.result.as_ref().map_or("running", |result| end_word(result.end));
    html! {
        li #{ "step-" (id) } {
            p.step {
                (badge(word)) " " strong { (shown(&step.name)) }
                @if let Some(each) = &step.each { " " span.quiet { "for " (shown(&each.item)) } }
                @if step.phase != Phase::Steps { " " span.quiet { (phase_word(step.phase)) } }
                @if step.attempt > 1 { " " span.quiet { "try " (step.attempt) } }
                @if let Some(result) = &step.result {
                    " " span.quiet { (took(result.duration_ms)) @for how in ended_with(result) { ", " (how) } }
                }
                @else { " " span.quiet { "since " (time(step.started_at)) } }
            }
            @if let Some(result) = step.result.as_ref().filter(|_| with_output) { (output(result)) }
        }
    }
}

fn output(result: &StepResult) -> Markup {
    html! {
        @if let Some(error) = &result.error { p.reason { (shown(error)) } }
        @for (name, text) in [("output", &result.stdout), ("errors", &result.stderr)] {
            @if !text.is_empty() {
                figure {
                    figcaption { (name) }
                    (lines(text))
                }
            }
        }
        @if result.dropped_bytes > 0 { p.quiet { (result.dropped_bytes) " bytes of output were left out" } }
    }
}

/// How a process or a request ended, in its own terms.
fn ended_with(result: &StepResult) -> impl Iterator<Item = String> {
    let code = result.exit_code.map(|code| format!("exit code {code}"));
    let signal = result.signal.map(|signal| format!("signal {signal}"));
    let status = result.status.map(|status| format!("status {status}"));
    [code, signal, status].into_iter().flatten()
}

fn end_word(end: StepEnd) -> &'static str {
    match end {
        StepEnd::Succeeded => "succeeded",
        StepEnd::Failed => "failed",
        StepEnd::TimedOut => "timed-out",
        StepEnd::Cancelled => "cancelled",
        StepEnd::Skipped => "skipped",
    }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Steps => "",
        Phase::Verify => "verify",
        Phase::OnSuccess => "on success",
        Phase::OnFailure => "on failure",
    }
}
