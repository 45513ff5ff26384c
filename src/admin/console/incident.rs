//! The story of an incident on one page.

use maud::{Markup, html};

use super::feed::led_to;
use super::runs::state;
use super::steps::steps;
use super::text::{badge, path, shown, time, took};
use super::{Page, Shown, Visit};
use crate::admin::api::incidents::{EVENTS_MAX, story};
use crate::admin::views::{EventView, RunStory};
use crate::clock::Timestamp;

/// The page of an incident.
pub(super) async fn show(visit: &Visit, id: &str) -> Shown {
    let told = story(&visit.desk.handle, id.to_owned()).await?;
    let mut entries: Vec<(Timestamp, u8, Markup)> = Vec::new();
    for (nth, event) in told.events.iter().enumerate() {
        // What is of one moment stands in the order in which it must have happened.
        entries.push((event.received_at, 0, of_event(event, nth)));
    }
    for run in &told.runs {
        let began = run.steps.first().map_or(run.run.since, |step| step.started_at);
        entries.push((began, 1, of_run(run)));
    }
    entries.sort_by_key(|(at, kind, _)| (*at, *kind));
    // Text that somebody else wrote is no link of ours unless it is plainly one to a page.
    let detail_url = told.detail_url.as_deref().filter(|url| url.starts_with("https://"));
    let content = html! {
        p.facts {
            span { "incident " code { (shown(id)) } }
            @if let Some(last) = told.events.last() {
                @if let Some(channel) = &last.channel { span { (shown(channel)) } }
                @if let Some(severity) = &last.severity { (badge(severity)) }
            }
            @if let Some(url) = detail_url { a href=(url) rel="noreferrer noopener" { "In Flashduty" } }
        }
        @if told.events.len() == EVENTS_MAX {
            p.quiet { "It has more events than are told here: these are its newest " (EVENTS_MAX) "." }
        }
        ol #story.story data-live="" { @for (_, _, entry) in &entries { (entry) } }
    };
    Ok(Page { title: told.title.unwrap_or_else(|| format!("Incident {id}")), content })
}

fn of_event(event: &EventView, nth: usize) -> Markup {
    html! {
        li.of-event #{ "event-" (event.seq) } {
            h2 {
                a href=(path("events", &event.event)) { (what(&event.event_type)) }
                span.unseen { ", event " (nth + 1) }
            }
            p.facts { code { (shown(&event.event_type)) } (time(event.received_at)) }
            (led_to(event))
        }
    }
}

/// What a type of event says, where it is a documented one.
fn what(event_type: &str) -> String {
    let known = crate::event::EVENT_TYPES.iter().find(|(name, _)| *name == event_type);
    match known {
        Some((_, says)) => {
            let mut letters = says.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
        None => format!("Event of type {}", shown(event_type)),
    }
}

fn of_run(story: &RunStory) -> Markup {
    let run = &story.run;
    html! {
        li.of-run #{ "run-" (run.run) } {
            h2 { a href=(path("runs", &run.run)) { "Run of " (shown(&run.rule)) " on " (shown(&run.target)) } }
            p.facts {
                span { (state(run)) }
                @if let Some(ms) = run.duration_ms { span { "after " (took(ms)) } }
            }
            @if let Some(error) = &run.error { p.reason { (shown(error)) } }
            (steps(story, false))
        }
    }
}
