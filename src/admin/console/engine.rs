//! The engine as a whole: the kill switch, reload, and what a reload would find.

use maud::{Markup, html};
use serde_json::Value;

use super::pauses::reason_and_time;
use super::text::{badge, shown, time};
use super::{Page, Shown, Visit, pauses};
use crate::admin::api::ApiError;
use crate::admin::api::check::{Checked, check_of};

/// The page of the engine.
pub(super) async fn show(visit: &Visit) -> Shown {
    let checked = match visit.query.is_set("check").map_err(ApiError::BadRequest)? {
        true => Some(check_of(&visit.desk.handle).await?),
        false => None,
    };
    let pauses = pauses::section(visit, visit.query.text("channel")).await?;
    let content = html! {
        section.card aria-labelledby="switch" {
            h2 #switch { "Kill switch" }
            (switch(visit))
        }
        (pauses)
        section.card aria-labelledby="files" {
            h2 #files { "Config and rules" }
            p {
                "Rule set " strong { (visit.status.generation) } " with " strong { (visit.status.rules) }
                " rules is in force, under the ceiling " (badge(&visit.status.mode)) "."
            }
            p.row { a.button href="/engine?check" { "Check what is on disk" } }
            @if let Some(checked) = &checked { (found(checked)) }
            @if visit.may_act() {
                (visit.form("/reload", html! {
                    div.field.check {
                        input #force type="checkbox" name="force" value="true";
                        label for="force" { "also where over half of the rules are gone" }
                    }
                    button type="submit" { "Reload" }
                }))
            }
        }
        section aria-labelledby="more" {
            h2 #more { "For machines" }
            ul.plain {
                @for (path, about) in [
                    ("/readyz", "whether the engine can do its work"),
                    ("/metrics", "metrics for Prometheus"),
                    ("/api/v1/openapi.json", "the API"),
                ] { li { a href=(path) { code { (path) } } " " (about) } }
            }
        }
    };
    Ok(Page { title: "Engine".into(), content })
}

fn switch(visit: &Visit) -> Markup {
    let pause = visit.status.paused.as_ref();
    html! {
        @match pause {
            Some(pause) => {
                p {
                    (badge("paused")) " Nothing new starts"
                    @if let Some(until) = pause.until { " until " (time(until)) }
                    "."
                }
                @if let Some(reason) = &pause.reason { p.reason { (shown(reason)) } }
                @if let Some(by) = &pause.by { p.quiet { "by " (shown(by)) } }
            },
            None => p {
                "Rules act on what comes in. While the engine is paused events are still taken and decided, and nothing starts; "
                "what was suppressed then is not made up for."
            },
        }
        @if !visit.may_act() { p.quiet { "The read token cannot switch it." } }
        @else if pause.is_some() {
            (visit.form("/resume", html! { button.primary type="submit" { "Let it go on" } }))
        } @else {
            (visit.form("/pause", html! {
                (reason_and_time("engine"))
                button.danger type="submit" { "Pause the engine" }
            }))
        }
    }
}

fn found(checked: &Checked) -> Markup {
    let text = |problem: &Value, key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    html! {
        div #checked role="status" {
            p {
                @if checked.usable { "A reload would take it: " } @else { "A reload would refuse it: " }
                (checked.rules) " rules and " (checked.tests) " tests, "
                @match checked.diagnostics.len() { 0 => "nothing wrong.", 1 => "1 problem.", n => { (n) " problems." } }
            }
            ul.cards {
                @for problem in &checked.diagnostics {
                    li {
                        (badge(&text(problem, "severity"))) " " span { (shown(&text(problem, "message"))) }
                        span.facts {
                            code {
                                (shown(&text(problem, "file")))
                                @if let Some(line) = problem.get("line").and_then(Value::as_u64) {
                                    ":" (line) ":" (problem.get("column").and_then(Value::as_u64).unwrap_or(1))
                                }
                            }
                            code { (shown(&text(problem, "code"))) }
                        }
                        @if let Some(hint) = problem.get("hint").and_then(Value::as_str) { span.quiet { (shown(hint)) } }
                    }
                }
            }
        }
    }
}
