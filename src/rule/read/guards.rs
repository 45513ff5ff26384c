//! `guards`, each with its defaults.

use std::time::Duration;

use super::{NAMES_MAX, Reader, body, by, flashduty, matching};
use crate::config::Config;
use crate::journal::history::{FAILURES_MAX, REMEMBERED_MAX, STORM_HOLD_MAX, TALLIED_MAX};
use crate::rule::By;
use crate::rule::diagnostic::codes;
use crate::rule::duration::show;
use crate::rule::guards::{Active, Attempts, BlastRadius, Breaker, Concurrency, Guards, Hold, Over, Rate, Threshold};
use crate::rule::yaml::doc::Doc;
use crate::rule::yaml::fields::{Fields, key_text, suggestion};
use crate::rule::yaml::{Kind, Node};

/// Reads `guards`.
pub(super) fn read(reader: &Reader<'_>, node: &Node, has_target: bool) -> Guards {
    let doc = reader.doc;
    let mut guards = Guards::default();
    let Some(fields) = Fields::open(doc, node, "`guards`") else { return guards };
    guards.active = fields.get("active").and_then(|node| active(reader, node));
    guards.unless_acked = reader.flag(&fields, "unless_acked");
    guards.hold = fields.get("hold").and_then(|node| hold(reader, node));
    guards.threshold = fields.get("threshold").and_then(|node| threshold(reader, node, has_target));
    guards.cooldown = fields.get("cooldown").and_then(|node| doc.duration(node, "`cooldown`"));
    if let Some(node) = fields.get("rate") {
        guards.rate = rate(doc, node, by::RATE).unwrap_or_default();
        warn_by_target(reader, node, "`rate`", has_target);
    }
    if let Some(node) = fields.get("concurrency") {
        guards.concurrency = concurrency(reader, node).unwrap_or_default();
        warn_by_target(reader, node, "`concurrency`", has_target);
    }
    if let Some((key, node)) = fields.entry("blast_radius") {
        guards.blast_radius = blast_radius(doc, node, by::BLAST_RADIUS);
        if !has_target {
            by::warn_without_target(reader, key, "`blast_radius`");
        }
    }
    if let Some(node) = fields.get("breaker") {
        guards.breaker = breaker(reader, node).unwrap_or_default();
    }
    if let Some(node) = fields.get("attempts") {
        guards.attempts = attempts(reader, node);
        warn_by_target(reader, node, "`attempts`", has_target);
    }
    if let Some((key, node)) = fields.entry("recheck") {
        guards.recheck = doc.choice(node, "`recheck`", &[("incident", true)]).unwrap_or(false);
        flashduty::need(reader, key, "the guard `recheck`");
    }
    if let Some(max_wait) = fields.get("max_wait").and_then(|node| doc.duration(node, "`max_wait`")) {
        guards.max_wait = max_wait;
    }
    guards.storm_hold = fields.get("storm_hold").and_then(|node| remembered(doc, node, "`storm_hold`", STORM_HOLD_MAX));
    fields.close();
    guards
}

/// Warns where `by: target` is written; the defaults that count by target are sound without one.
fn warn_by_target(reader: &Reader<'_>, node: &Node, what: &str, has_target: bool) {
    let Kind::Map(entries) = &node.kind else { return };
    let by = entries.iter().find(|(key, _)| key_text(key) == Some("by")).map(|(_, by)| by);
    if let Some(by) = by
        && !has_target
        && matches!(&by.kind, Kind::Text { text, .. } if text == "target")
    {
        by::warn_without_target(reader, by, what);
    }
}

fn active(reader: &Reader<'_>, node: &Node) -> Option<Active> {
    let fields = Fields::open(reader.doc, node, "`active`")?;
    let only = fields.get("only").map(|node| schedules(reader, node, "`active.only`")).unwrap_or_default();
    let except = fields.get("except").map(|node| schedules(reader, node, "`active.except`")).unwrap_or_default();
    fields.close();
    Some(Active { only, except })
}

/// Names of schedules, which must be in the config.
fn schedules(reader: &Reader<'_>, node: &Node, what: &str) -> Vec<String> {
    let config: &Config = reader.cx.config;
    let mut names = Vec::new();
    for (name, node) in reader.doc.texts(node, what).unwrap_or_default() {
        if !config.schedules.contains_key(name) {
            let known: Vec<&str> = config.schedules.keys().map(String::as_str).collect();
            let hint =
                if known.is_empty() { "the config has no `schedules`".to_owned() } else { suggestion(name, &known) };
            let message = format!("the config has no schedule `{name}`");
            reader.doc.error_hint(codes::UNKNOWN_SCHEDULE, node.span.clone(), message, hint);
        }
        names.push(name.to_owned());
    }
    names
}

fn hold(reader: &Reader<'_>, node: &Node) -> Option<Hold> {
    let fields = Fields::open(reader.doc, node, "`hold`")?;
    let lasts =
        fields.require("for", "say how long: `for: 3m`").and_then(|node| reader.doc.duration(node, "`hold.for`"));
    let mut cancel_on = Vec::new();
    if let Some(items) = fields.get("cancel_on").and_then(|node| reader.doc.list(node, "`cancel_on`", NAMES_MAX)) {
        for item in items {
            if let Some(name) = reader.doc.text(item, "an event type") {
                cancel_on.extend(matching::types_of(reader, item, name));
            }
        }
    }
    fields.close();
    Some(Hold { lasts: lasts?, cancel_on })
}

fn threshold(reader: &Reader<'_>, node: &Node, has_target: bool) -> Option<Threshold> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`threshold`")?;
    // More matches than the history remembers would never be reached.
    let tallied_max = i64::try_from(TALLIED_MAX).unwrap_or(i64::MAX);
    let count = fields
        .require("count", "say on which matching event to act: `count: 3`")
        .and_then(|node| doc.int(node, "`threshold.count`", 1..=tallied_max))
        .and_then(|count| u32::try_from(count).ok());
    let within = fields
        .require("within", "say in which time they must come: `within: 10m`")
        .and_then(|node| doc.duration(node, "`threshold.within`"));
    let by_node = fields.get("by");
    let by = by_node.and_then(|node| by::list(reader, node, "`threshold.by`", by::THRESHOLD)).unwrap_or_default();
    if let (Some(node), false) = (by_node, has_target)
        && by.contains(&By::Target)
    {
        by::warn_without_target(reader, node, "`threshold`");
    }
    fields.close();
    Some(Threshold { count: count?, within: within?, by })
}

/// `max`, `per` and `by` of a rate; `by` has the default of rates.
pub(crate) fn rate(doc: &Doc, node: &Node, choices: by::Choices) -> Option<Rate> {
    let fields = Fields::open(doc, node, "`rate`")?;
    let max = fields.require("max", "say how many: `max: 3`").and_then(|node| doc.count(node, "`rate.max`", 1));
    let per = fields.require("per", "say in which time: `per: 1h`").and_then(|node| doc.duration(node, "`rate.per`"));
    let by = fields.get("by").and_then(|node| by::one(doc, node, "`rate.by`", choices)).unwrap_or(By::Rule);
    fields.close();
    Some(Rate { max: max?, per: per?, by })
}

/// `targets`, `per` and `by`; `by` is the rule unless it says otherwise.
pub(crate) fn blast_radius(doc: &Doc, node: &Node, choices: by::Choices) -> Option<BlastRadius> {
    let fields = Fields::open(doc, node, "`blast_radius`")?;
    let targets = fields
        .require("targets", "say how many: `targets: 3`")
        .and_then(|node| doc.count(node, "`blast_radius.targets`", 1));
    let per = fields
        .require("per", "say in which time: `per: 30m`")
        .and_then(|node| doc.duration(node, "`blast_radius.per`"));
    let by = fields.get("by").and_then(|node| by::one(doc, node, "`blast_radius.by`", choices)).unwrap_or(By::Rule);
    fields.close();
    Some(BlastRadius { targets: targets?, per: per?, by })
}

fn concurrency(reader: &Reader<'_>, node: &Node) -> Option<Concurrency> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`concurrency`")?;
    let mut read = Concurrency::default();
    if let Some(max) = fields.get("max").and_then(|node| doc.count(node, "`concurrency.max`", 1)) {
        read.max = max;
    }
    if let Some(by) = fields.get("by").and_then(|node| by::one(doc, node, "`concurrency.by`", by::CONCURRENCY)) {
        read.by = by;
    }
    let over = [("queue", Over::Queue), ("skip", Over::Skip)];
    if let Some(over) = fields.get("over").and_then(|node| doc.choice(node, "`concurrency.over`", &over)) {
        read.over = over;
    }
    fields.close();
    Some(read)
}

fn breaker(reader: &Reader<'_>, node: &Node) -> Option<Breaker> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`breaker`")?;
    let mut read = Breaker::default();
    // Failures beyond what the history remembers would never open it.
    let failures_max = i64::try_from(FAILURES_MAX).unwrap_or(i64::MAX);
    let failures = fields.get("failures").and_then(|node| doc.int(node, "`breaker.failures`", 1..=failures_max));
    if let Some(failures) = failures.and_then(|failures| u32::try_from(failures).ok()) {
        read.failures = failures;
    }
    if let Some(within) =
        fields.get("within").and_then(|node| remembered(doc, node, "`breaker.within`", REMEMBERED_MAX))
    {
        read.within = within;
    }
    if let Some(open_for) =
        fields.get("open_for").and_then(|node| remembered(doc, node, "`breaker.open_for`", REMEMBERED_MAX))
    {
        read.open_for = open_for;
    }
    fields.close();
    Some(read)
}

/// A duration that is no longer than what it asks about is remembered; beyond that the guard would forget in silence.
fn remembered(doc: &Doc, node: &Node, what: &str, max: Duration) -> Option<Duration> {
    let duration = doc.duration(node, what)?;
    if duration > max {
        let message = format!("{what} is longer than {}, the most that is remembered", show(max));
        doc.error(codes::INVALID_VALUE, node.span.clone(), message);
        return None;
    }
    Some(duration)
}

fn attempts(reader: &Reader<'_>, node: &Node) -> Option<Attempts> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`attempts`")?;
    let max = fields.require("max", "say how many: `max: 2`").and_then(|node| doc.count(node, "`attempts.max`", 1));
    let per =
        fields.require("per", "say in which time: `per: 24h`").and_then(|node| doc.duration(node, "`attempts.per`"));
    let by = fields.get("by").and_then(|node| by::one(doc, node, "`attempts.by`", by::RATE)).unwrap_or(By::Target);
    let then = fields
        .require("then", "say what is done instead: `then: [ { run: [./scripts/escalate.sh] } ]`")
        .map(|node| body::steps(reader, node, "`attempts.then`"))
        .unwrap_or_default();
    fields.close();
    Some(Attempts { max: max?, per: per?, by, then })
}
