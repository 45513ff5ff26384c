//! The demo's words. Text from pushes and commands is made printable before it comes here to a terminal.

use std::path::Path;

use serde_json::{Map, Value};

use super::{heading, program, shown, stage};
use crate::admin::views::{RuleDecisionView, RunStory, StepView};
use crate::cli::output::{cell, say};
use crate::decide::explain::Explanation;
use crate::journal::record::{Phase, StepEnd};
use crate::report::printable;

/// How wide the first column is.
const LABEL_WIDTH: usize = 9;
/// How many lines of a step's output are shown.
const OUTPUT_LINES_MAX: usize = 12;
/// How much of a line is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

pub(super) fn opening(folder: &Path, url: &str) {
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    say(&format!("{bold}stanch demo{reset}: the same engine as `stanch serve`, with everything in a temporary folder"));
    row("folder", &shown(folder));
    row("webhook", &format!("{url} (the secret travels in {})", stage::HEADER));
    row("journal", "data/ in that folder: every push, decision and step is on record there before anything acts");
}

pub(super) fn chapter(title: &str) {
    heading(title);
}

/// A line with a name before it.
pub(super) fn row(label: &str, text: &str) {
    let (dim, reset) = (anstyle::Style::new().dimmed(), anstyle::Reset);
    say(&format!("  {dim}{label:<LABEL_WIDTH$}{reset} {text}"));
}

/// What is being sent.
pub(super) fn sent(push: &Map<String, Value>) {
    let incident = push.get("incident");
    let text = |name: &str| {
        let value = incident.and_then(|incident| incident.get(name)).and_then(Value::as_str);
        cell(value.unwrap_or("?"), LINE_CHARS_MAX)
    };
    let kind = cell(push.get("event_type").and_then(Value::as_str).unwrap_or("?"), LINE_CHARS_MAX);
    row("sent", &format!("{kind} \"{}\" on channel {}", text("title"), text("channel_name")));
}

/// What a rule was decided to.
pub(super) fn decision(decided: &RuleDecisionView) {
    let target = decided.target.as_deref().map(|target| format!(" on {}", cell(target, LINE_CHARS_MAX)));
    let reason = decided.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    let words = format!("{}{}", target.unwrap_or_default(), reason.unwrap_or_default());
    row("decided", &format!("rule {}: {bold}{}{reset}{words}", decided.rule, decided.outcome));
}

/// What would be done.
pub(super) fn plan(decided: &RuleDecisionView) {
    let steps = decided.plan.as_ref().and_then(|plan| plan.get("steps")).and_then(Value::as_array);
    for step in steps.into_iter().flatten() {
        let argv: Vec<&str> =
            step.get("run").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        row("would run", &cell(&argv.join(" "), LINE_CHARS_MAX));
    }
    row("", "nothing was executed");
}

/// A run with its steps and what they said.
pub(super) fn run(story: &RunStory) {
    for step in &story.steps {
        self::step(step);
    }
    let style = if story.run.state == "succeeded" { anstyle::AnsiColor::Green } else { anstyle::AnsiColor::Red };
    let (style, reset) = (style.on_default().bold(), anstyle::Reset);
    let took = story.run.duration_ms.map(|ms| format!(" after {ms} ms")).unwrap_or_default();
    let error = story.run.error.as_deref().map(|error| format!(": {}", cell(error, LINE_CHARS_MAX)));
    row("run", &format!("{style}{}{reset}{took}{}", story.run.state, error.unwrap_or_default()));
}

fn step(view: &StepView) {
    let label = match view.phase {
        Phase::Steps => "step",
        Phase::Verify => "verify",
        Phase::OnSuccess => "after",
        Phase::OnFailure => "failed so",
    };
    let Some(result) = &view.result else { return };
    let end = match (result.end, result.exit_code) {
        (StepEnd::Succeeded, _) => "ok".to_owned(),
        (_, Some(code)) => format!("failed with exit code {code}"),
        _ => "did not succeed".to_owned(),
    };
    row(label, &format!("{}: {end}", cell(&view.name, LINE_CHARS_MAX)));
    let lines = result.stdout.lines().chain(result.stderr.lines());
    for line in lines.take(OUTPUT_LINES_MAX) {
        row("", &format!("| {}", cell(line, LINE_CHARS_MAX)));
    }
}

/// Why each rule does not act.
pub(super) fn reasons(explanation: &Explanation) {
    let width = explanation.rules.iter().map(|rule| rule.rule.chars().count()).max().unwrap_or_default();
    for rule in &explanation.rules {
        let reason = rule.reason.as_deref().unwrap_or("no reason");
        row("", &format!("{:<width$}  {}", rule.rule, cell(reason, LINE_CHARS_MAX)));
    }
}

pub(super) fn keeping(folder: &Path, url: &str) {
    let (dir, program) = (shown(folder), program());
    let config = format!("-c {dir}/stanch.yaml");
    heading("The server stays up until Ctrl-C. In another terminal:");
    say(&format!("  {program} {config} send {dir}/events/service-down.json"));
    say(&format!("  {program} {config} send {dir}/events/disk-full.json --set incident.labels.resource=db-08"));
    say(&format!("  {program} {config} events"));
    say(&format!("  {program} {config} runs"));
    say(&format!(
        "  curl -H 'Content-Type: application/json' -H \"{}: $(cat {dir}/secrets/webhook-token)\" \
         -d @{dir}/events/queue-stuck.json {url}",
        stage::HEADER
    ));
}

pub(super) fn closing(folder: &Path) {
    heading("All went as told.");
    row("removed", &shown(folder));
    row("next", &format!("{} init my-stanch    a working folder of your own, with a first rule", program()));
}
