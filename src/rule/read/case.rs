//! `tests`.

use std::time::Duration;

use serde_json::Value;

use super::{NAMES_MAX, Reader, STEPS_MAX};
use crate::clock::Timestamp;
use crate::journal::record::RunEnd;
use crate::rule::diagnostic::codes;
use crate::rule::duration;
use crate::rule::test_case::{
    Expectation, MORE_OUTCOMES, OUTCOMES, Payload, RUN_ENDS, RunFate, TestCase, TestEvent, Until,
};
use crate::rule::yaml::fields::{Fields, key_text, suggestion};
use crate::rule::yaml::{Kind, Node};

/// How many events one test may have.
const EVENTS_MAX: usize = 1000;

/// Reads one test.
pub(super) fn test(reader: &Reader<'_>, node: &Node) -> Option<TestCase> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "the test")?;
    let name = fields
        .require("name", "say what it shows: `name: a full disk is cleaned`")
        .and_then(|node| doc.text(node, "`name`"));
    let with = fields.get("with").map(|node| with(reader, node)).unwrap_or_default();
    let fresh = reader.flag(&fields, "fresh");
    let place = doc.place(node.head().start);
    let mut events = Vec::new();
    // Of an event that could not be read it is not known whether it expects something.
    let mut unread = false;
    match (fields.entry("event"), fields.entry("events")) {
        (Some((_, node)), None) => events.extend(payload(reader, node).map(|payload| TestEvent {
            after: Duration::ZERO,
            payload,
            with: with.clone(),
            fresh,
            expect: None,
            place: doc.place(node.span.start),
        })),
        (None, Some((_, list))) => {
            let items = doc.list(list, "`events`", EVENTS_MAX).unwrap_or_default();
            events.extend(items.iter().filter_map(|item| event(reader, item, &with, fresh)));
            unread = events.len() < items.len();
        }
        (Some(_), Some((key, _))) => {
            let message = "a test has either `event` or `events`";
            doc.error_hint(codes::INVALID_VALUE, key.span.clone(), message, "put them all into `events`");
        }
        (None, None) => {
            if !fields.has("event") && !fields.has("events") {
                let hint = "give it one: `event: fixtures/disk-full.json`";
                doc.error_hint(codes::MISSING_KEY, fields.head(), "the test has no `event`", hint);
            }
        }
    }
    let runs = fields.get("runs").map(|node| run_fates(reader, node)).unwrap_or_default();
    let expect_entry = fields.entry("expect");
    let expect = expect_entry.map(|(_, node)| expectations(reader, node));
    let in_events = events.iter().any(|event| event.expect.is_some());
    match expect_entry {
        Some((key, _)) if in_events => {
            let message = "`expect` stands both at the test and at its events";
            doc.error_hint(codes::INVALID_VALUE, key.span.clone(), message, "keep one of them");
        }
        None if !in_events && !unread && !fields.has("expect") && !events.is_empty() => {
            let hint = "say what must come of it: `expect: [ { rule: …, outcome: run } ]`";
            doc.error_hint(codes::MISSING_KEY, fields.head(), "the test expects nothing", hint);
        }
        _ => {}
    }
    fields.close();
    Some(TestCase { name: name?.to_owned(), events, runs, expect, place })
}

/// How runs go: `runs: [ { rule: disk-full, ends: failed, takes: 2m } ]`.
fn run_fates(reader: &Reader<'_>, node: &Node) -> Vec<RunFate> {
    let doc = reader.doc;
    let items = doc.list(node, "`runs`", NAMES_MAX).unwrap_or_default();
    let fate = |item| {
        let fields = Fields::open(doc, item, "the run")?;
        let rule = fields.require("rule", "say of which rule: `rule: disk-full`");
        let rule = rule.and_then(|node| doc.text(node, "`rule`"));
        let ends = fields.get("ends").and_then(|node| doc.choice(node, "`ends`", RUN_ENDS));
        let takes = fields.get("takes").and_then(|node| doc.duration(node, "`takes`"));
        fields.close();
        let (ends, takes) = (ends.unwrap_or(RunEnd::Succeeded), takes.unwrap_or_default());
        Some(RunFate { rule: rule?.to_owned(), ends, takes })
    };
    items.iter().filter_map(fate).collect()
}

/// The keys of an element of `events` that is not the event itself.
const EVENT_KEYS: &[&str] = &["event", "after", "with", "fresh", "expect"];

/// Whether a mapping in `events` is the body of a push: it has what every body has, and no key of ours, which would
/// otherwise become a part of the body unseen.
fn is_body(node: &Node) -> bool {
    let Kind::Map(entries) = &node.kind else { return false };
    let has = |names: &[&str]| entries.iter().any(|(key, _)| key_text(key).is_some_and(|key| names.contains(&key)));
    has(&["incident", "alert"]) && !has(EVENT_KEYS)
}

/// An element of `events`: a fixture, a body, or a mapping with `event` and more.
fn event(reader: &Reader<'_>, node: &Node, with_all: &[(String, Value)], fresh_all: bool) -> Option<TestEvent> {
    let doc = reader.doc;
    let place = doc.place(node.head().start);
    let with_all = with_all.to_vec();
    if is_body(node) || !matches!(node.kind, Kind::Map(_)) {
        let payload = payload(reader, node)?;
        return Some(TestEvent {
            after: Duration::ZERO,
            payload,
            with: with_all,
            fresh: fresh_all,
            expect: None,
            place,
        });
    }
    let fields = Fields::open(doc, node, "the event")?;
    // Unlike elsewhere, no time at all is a sensible time here.
    let after = match fields.get("after") {
        Some(node) if doc.written(&node.span) == "0s" => Duration::ZERO,
        Some(node) => doc.duration(node, "`after`").unwrap_or_default(),
        None => Duration::ZERO,
    };
    let payload = fields
        .require("event", "give it one: `event: fixtures/disk-full.json`, or its fields as a mapping")
        .and_then(|node| payload(reader, node));
    let mut with = with_all;
    with.extend(fields.get("with").map(|node| self::with(reader, node)).unwrap_or_default());
    let fresh = reader.flag(&fields, "fresh") || fresh_all;
    let expect = fields.get("expect").map(|node| expectations(reader, node));
    fields.close();
    Some(TestEvent { after, payload: payload?, with, fresh, expect, place })
}

fn payload(reader: &Reader<'_>, node: &Node) -> Option<Payload> {
    let doc = reader.doc;
    if let Kind::Map(_) = node.kind {
        return doc.json(node, "a value of the event").map(Payload::Inline);
    }
    let text = doc.text(node, "the event")?;
    let folder = doc.file().parent().unwrap_or_else(|| std::path::Path::new("."));
    let path = folder.join(text);
    if !path.is_file() {
        // The engine never reads it, and so must not refuse to start for it.
        let message = format!("the test's event {} does not exist", path.display());
        doc.warn(codes::FIXTURE_MISSING, node.span.clone(), message, "paths begin at the rule file's folder");
    }
    Some(Payload::Fixture(path))
}

fn with(reader: &Reader<'_>, node: &Node) -> Vec<(String, Value)> {
    let entries = reader.doc.entries(node, "`with`").unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|(path, _, value)| Some((path.to_owned(), reader.doc.json(value, "a value of `with`")?)))
        .collect()
}

fn expectations(reader: &Reader<'_>, node: &Node) -> Vec<Expectation> {
    // An empty list says that nothing came of it.
    let items = reader.doc.list_or_empty(node, "`expect`", NAMES_MAX).unwrap_or_default();
    items.iter().filter_map(|item| expectation(reader, item)).collect()
}

fn expectation(reader: &Reader<'_>, node: &Node) -> Option<Expectation> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "the expectation")?;
    let rule = reader.free_text(&fields, "rule");
    let outcome = fields.get("outcome").and_then(|node| {
        let text = doc.text(node, "`outcome`")?;
        let words: Vec<&str> = OUTCOMES.iter().copied().chain(MORE_OUTCOMES.iter().map(|(word, _)| *word)).collect();
        if !words.contains(&text) {
            let message = format!("there is no outcome `{text}`");
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, suggestion(text, &words));
        }
        Some(text.to_owned())
    });
    let because = reader.free_text(&fields, "because");
    let reason = reader.free_text(&fields, "reason");
    let until = fields.get("until").and_then(|node| until(reader, node));
    let target = reader.free_text(&fields, "target");
    let steps = fields.get("steps").and_then(|node| {
        let items = doc.list_or_empty(node, "`steps`", STEPS_MAX)?;
        Some(items.iter().filter_map(|item| doc.json(item, "a value of a step")).collect())
    });
    fields.close();
    let place = doc.place(node.head().start);
    Some(Expectation { rule, outcome, because, reason, until, target, steps, place, span: node.head() })
}

fn until(reader: &Reader<'_>, node: &Node) -> Option<Until> {
    let text = reader.doc.text(node, "`until`")?;
    if let Ok(after) = duration::parse(text) {
        return Some(Until::After(after));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Some(Until::At(Timestamp::from_millis(at.as_millisecond()))),
        Err(_) => {
            let message = "`until` must be a duration after the event, or a time such as 2026-01-31T08:00:00Z";
            reader.doc.error(codes::INVALID_VALUE, node.span.clone(), message);
            None
        }
    }
}
