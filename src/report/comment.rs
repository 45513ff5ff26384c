//! What Stanch says of itself on an incident: one comment a run, and what a dry-run would have done.
//!
//! Pure: everything comes in as an argument. Texts are cut here, on a character, never within one.

use std::fmt::Write as _;

use crate::event::Event;
use crate::journal::record::{Phase, RunEnd, RunId, StepEnd};
use crate::plan::{Call, Plan};
use crate::report::printable;
use crate::rule::Rule;
use crate::rule::duration;

/// The most characters of a comment, and of a root cause and a resolution, that the vendor takes.
pub const COMMENT_CHARS_MAX: usize = 1_024;
/// Steps that a report names; a rule may have 64, and the first few tell what happened.
const STEPS_SHOWN_MAX: usize = 8;
/// Characters of a step's name, a title, or an error that a report shows, so that each part has room.
const PART_CHARS_MAX: usize = 160;

/// `text` as the vendor takes it: at most [`COMMENT_CHARS_MAX`] characters, an ellipsis where something is missing.
pub fn cut(text: &str) -> String {
    cut_to(text, COMMENT_CHARS_MAX)
}

fn cut_to(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn part(text: &str) -> String {
    cut_to(&printable(text), PART_CHARS_MAX)
}

/// A step that was tried, with how its last try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Did {
    /// Which part of the rule.
    pub phase: Phase,
    /// Which step of it, from 0.
    pub step: usize,
    /// Its name, or what it does.
    pub name: String,
    /// How it ended.
    pub end: StepEnd,
}

/// A run that ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Its rule.
    pub rule: &'a str,
    /// What it acted on.
    pub target: &'a str,
    /// The event that led to it, where it is at hand.
    pub event: Option<&'a Event>,
    /// How it ended.
    pub end: RunEnd,
    /// Why, where it did not succeed.
    pub error: Option<&'a str>,
    /// What it did.
    pub did: &'a [Did],
    /// From intent to end, in milliseconds.
    pub duration_ms: u64,
    /// What stands before a run's id in the address of its page, where the config says.
    pub run_link: Option<&'a str>,
}

/// The comment on a run: outcome, what matched, what ran, and where more is told.
pub fn of_run(ended: &Ended<'_>) -> String {
    let duration = std::time::Duration::from_millis(ended.duration_ms);
    let mut text = format!(
        "Stanch: rule {} {} on {} after {}.",
        ended.rule,
        words(ended.end),
        part(ended.target),
        shown(duration)
    );
    // Writing to a text cannot fail.
    if let Some(event) = ended.event {
        write!(text, "\nMatched: {}", matched(event)).ok();
    }
    if !ended.did.is_empty() {
        write!(text, "\nRan: {}", ran(ended.did)).ok();
    }
    if let Some(error) = ended.error {
        write!(text, "\nWhy: {}", part(error)).ok();
    }
    match ended.run_link {
        Some(link) => write!(text, "\nMore: {link}{}", ended.run).ok(),
        None => write!(text, "\nMore: stanch runs show {}", ended.run).ok(),
    };
    cut(&text)
}

/// The comment on what a rule in dry-run would have done.
pub fn of_dry_run(rule: &Rule, event: &Event, plan: &Plan) -> String {
    let mut text = format!("Stanch (dry-run): rule {} would act on {}.", rule.id, part(&plan.target));
    write!(text, "\nMatched: {}", matched(event)).ok();
    let steps = plan.steps.iter().take(STEPS_SHOWN_MAX).map(|step| match (&step.spec.name, &step.call) {
        (_, Some(Call::Run(run))) => part(&run.argv.join(" ")),
        (Some(name), _) => part(name),
        (None, _) => part(&crate::runner::name::of(&step.spec)),
    });
    write!(text, "\nWould run: {}", steps.collect::<Vec<_>>().join("; ")).ok();
    text.push_str(&more(plan.steps.len()));
    text.push_str("\nNothing was executed.");
    cut(&text)
}

fn matched(event: &Event) -> String {
    let title = event.title().map(|title| format!(" \"{}\"", part(title))).unwrap_or_default();
    let channel = event.channel_name().map(|name| format!(", channel {}", part(name))).unwrap_or_default();
    let person = event.person().and_then(|person| person.get("email")).and_then(|email| email.as_str());
    let person = person.filter(|email| !email.is_empty()).map(|email| format!(", by {}", part(email)));
    format!("{}{title}{channel}{}", part(&event.event_type), person.unwrap_or_default())
}

fn ran(did: &[Did]) -> String {
    let steps = did.iter().take(STEPS_SHOWN_MAX).map(|step| {
        let phase = match step.phase {
            Phase::Steps => "",
            Phase::Verify => "verify ",
            Phase::OnSuccess | Phase::OnFailure => "then ",
        };
        let end = match step.end {
            StepEnd::Succeeded => "ok",
            StepEnd::Failed => "failed",
            StepEnd::TimedOut => "timed out",
            StepEnd::Cancelled => "cancelled",
            StepEnd::Skipped => "skipped",
        };
        format!("{phase}{}: {end}", part(&step.name))
    });
    format!("{}{}", steps.collect::<Vec<_>>().join("; "), more(did.len()))
}

fn more(steps: usize) -> String {
    match steps.saturating_sub(STEPS_SHOWN_MAX) {
        0 => String::new(),
        left => format!("; and {left} more"),
    }
}

fn words(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Succeeded => "succeeded",
        RunEnd::Failed => "failed",
        RunEnd::TimedOut => "timed out",
        RunEnd::Cancelled => "was cancelled",
        RunEnd::Denied => "was denied",
        RunEnd::Expired => "expired",
        RunEnd::Interrupted => "was interrupted, and may have done anything between nothing and all,",
        RunEnd::Unverified => "ran, but its check did not pass,",
    }
}

fn shown(took: std::time::Duration) -> String {
    match took.as_secs() {
        0 => duration::show(took),
        secs => duration::show(std::time::Duration::from_secs(secs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(title: &str) -> Event {
        let body = json!({
            "event_id": "e1", "event_type": "i_new", "event_time": 1_700_000_000_000_i64,
            "person": { "email": "wang@example.com" },
            "incident": { "incident_id": "i1", "title": title, "channel_name": "Orders" }
        });
        let at = crate::clock::Timestamp::from_millis(1_700_000_000_000);
        crate::event::read(body.to_string().into(), "flashduty".into(), at).unwrap()
    }

    fn did(step: usize, name: &str, end: StepEnd) -> Did {
        Did { phase: Phase::Steps, step, name: name.into(), end }
    }

    #[test]
    fn a_report_says_what_matched_what_ran_and_what_came_of_it() {
        let (event, run) = (event("disk full"), RunId::new("r-1"));
        let did = [did(0, "clear logs", StepEnd::Succeeded), did(1, "tell", StepEnd::Failed)];
        let ended = Ended {
            run: &run,
            rule: "disk-full",
            target: "db-07",
            event: Some(&event),
            end: RunEnd::Failed,
            error: Some("step 2 (tell): exit code 1"),
            did: &did,
            duration_ms: 3_210,
            run_link: None,
        };
        let text = "Stanch: rule disk-full failed on db-07 after 3s.\n\
             Matched: i_new \"disk full\", channel Orders, by wang@example.com\n\
             Ran: clear logs: ok; tell: failed\n\
             Why: step 2 (tell): exit code 1\n\
             More: stanch runs show r-1";
        assert_eq!(of_run(&ended), text);
        let linked = of_run(&Ended { run_link: Some("https://bastion/runs/"), ..ended });
        assert!(linked.ends_with("More: https://bastion/runs/r-1"), "{linked}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_report_too_long(title in "\\PC{0,400}", name in "\\PC{0,400}", steps in 0_usize..20) {
            let (event, run) = (event(&title), RunId::new("r-1"));
            let did: Vec<Did> = (0..steps).map(|step| did(step, &name, StepEnd::Skipped)).collect();
            let text = of_run(&Ended {
                run: &run, rule: "a", target: &title, event: Some(&event), end: RunEnd::Interrupted,
                error: Some(&name), did: &did, duration_ms: 0, run_link: None,
            });
            prop_assert!(text.chars().count() <= COMMENT_CHARS_MAX);
        }

        #[test]
        fn a_text_is_cut_on_a_character(text in "\\PC{0,1500}") {
            let cut = cut(&text);
            prop_assert!(cut.chars().count() <= COMMENT_CHARS_MAX);
            prop_assert!(text == cut || text.starts_with(cut.trim_end_matches('…')));
        }
    }
}
