//! The steps of a run: how each ended or goes, and what it prints.

use maud::{Markup, html};

use super::text::{badge, lines, shown, time, took};
use crate::admin::views::{NowView, RunStory, StepView};
use crate::journal::record::{Phase, StepEnd, StepResult};

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
                @else {
                    " " span.quiet {
                        @if let Some(now) = &step.now { span data-running=(now.for_ms) { "for " (took(now.for_ms)) } ", " }
                        "since " (time(step.started_at))
                    }
                }
            }
            @if let Some(now) = step.now.as_ref().filter(|_| with_output) { (so_far(now)) }
            @if let Some(result) = step.result.as_ref().filter(|_| with_output) { (output(result)) }
        }
    }
}

/// The end of what a step that runs has printed so far.
fn so_far(now: &NowView) -> Markup {
    let shown_bytes = now.stdout.len() + now.stderr.len();
    html! {
        (streams([("output so far", &now.stdout), ("errors so far", &now.stderr)]))
        @if now.printed_bytes > shown_bytes as u64 {
            p.quiet { "the end of " (now.printed_bytes) " bytes: the rest is shown when the step has ended" }
        }
    }
}

fn streams(streams: [(&str, &String); 2]) -> Markup {
    html! {
        @for (name, text) in streams {
            @if !text.is_empty() {
                figure {
                    figcaption { (name) }
                    (lines(text))
                }
            }
        }
    }
}

fn output(result: &StepResult) -> Markup {
    html! {
        @if let Some(error) = &result.error { p.reason { (shown(error)) } }
        (streams([("output", &result.stdout), ("errors", &result.stderr)]))
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
