//! Rules that could never match: matchers that contradict each other.
//!
//! Only what is certain is said. A custom field may be a list, of which different elements satisfy different tests.

use std::ops::Range;

use super::Reader;
use crate::matcher;
use crate::rule::diagnostic::codes;
use crate::rule::matching::{ChannelPattern, Match, Matcher, NamePattern, Scalar, Test};
use crate::rule::yaml::Node;
use crate::rule::yaml::fields::Fields;

/// Event types that no person causes.
const AUTOMATIC: &[&str] = &["a_new", "a_update", "i_storm"];

/// Says where the tests on one text cannot all hold.
pub(super) fn of_matcher(reader: &Reader<'_>, node: &Node, what: &str, matcher: &Matcher) {
    if let Some(why) = contradiction(matcher) {
        warn(reader, node.head(), format!("{what} can never hold: {why}"));
    }
}

fn contradiction(matcher: &Matcher) -> Option<String> {
    let tests = &matcher.tests;
    if tests.len() > 1 && tests.iter().any(|test| matches!(test, Test::Exists(false))) {
        return Some("what is absent satisfies no other test".into());
    }
    let wanted: &[Scalar] = tests.iter().find_map(|test| match test {
        Test::Equals(value) => Some(std::slice::from_ref(value)),
        Test::In(values) => Some(values.as_slice()),
        _ => None,
    })?;
    let holds = |value: &Scalar| matches!(value, Scalar::Text(text) if matcher::text_holds(matcher, text));
    if wanted.is_empty() || wanted.iter().any(holds) {
        return None;
    }
    let values: Vec<String> = wanted.iter().take(3).map(ToString::to_string).collect();
    let more = if wanted.len() > values.len() { ", …" } else { "" };
    Some(format!("its other tests leave nothing of {}{more}", values.join(", ")))
}

/// Says where the clauses of a block exclude each other. `fields` are its keys.
pub(super) fn of_block(reader: &Reader<'_>, fields: &Fields<'_>, block: &Match) {
    let place = |name: &str| fields.key(name).map_or_else(|| fields.head(), |key| key.span.clone());
    if let Some(events) = exact_events(block) {
        let all = |wanted: &dyn Fn(&str) -> bool| !events.is_empty() && events.iter().all(|event| wanted(event));
        if let Some(progress) = &block.progress
            && all(&|event| event.starts_with("a_"))
            && progress.iter().all(|progress| progress == "Processing")
        {
            warn(reader, place("progress"), "an alert is Triggered or Closed, never Processing".into());
        }
        if block.person.is_some() && all(&|event| AUTOMATIC.contains(&event)) {
            let message = format!("no person causes {}, so `person` can never hold", events.join(" or "));
            warn(reader, place("person"), message);
        }
    }
    if let Some(not) = &block.not
        && excludes(not, block)
    {
        warn(reader, place("not"), "`not` excludes everything that the rest of the block admits".into());
    }
    if !block.any.is_empty() && block.any.iter().all(|inner| disjoint(inner, block)) {
        warn(reader, place("any"), "no block of `any` admits anything that the rest of the block admits".into());
    }
}

fn warn(reader: &Reader<'_>, span: Range<usize>, message: String) {
    let hint = "the rule would never do anything; take one of the two away";
    reader.doc.warn(codes::NEVER_MATCHES, span, message, hint);
}

/// The event types of a block, where all are written out.
fn exact_events(block: &Match) -> Option<Vec<&str>> {
    let exact = block.events.as_ref()?.iter().map(|pattern| match pattern {
        NamePattern::Exact(name) => Some(name.as_str()),
        NamePattern::Glob(_) => None,
    });
    exact.collect()
}

/// The clauses of a block that are sets of words, by name.
fn sets(block: &Match) -> [(&'static str, Option<Vec<String>>); 6] {
    let channels = block.channels.as_ref().and_then(|channels| {
        let exact = channels.iter().map(|channel| match channel {
            ChannelPattern::Id(id) => Some(format!("#{id}")),
            ChannelPattern::Name(NamePattern::Exact(name)) => Some(name.clone()),
            // It may be one or the other.
            ChannelPattern::IdOrName(..) => None,
            ChannelPattern::Any | ChannelPattern::Name(NamePattern::Glob(_)) => None,
        });
        exact.collect::<Option<Vec<_>>>()
    });
    let events = exact_events(block).map(|events| events.into_iter().map(str::to_owned).collect());
    [
        ("events", events),
        ("channels", channels),
        ("severities", block.severities.clone()),
        ("statuses", block.statuses.clone()),
        ("progress", block.progress.clone()),
        ("sources", block.sources.clone()),
    ]
}

/// Whether a block has no clause but such sets.
fn is_sets_alone(block: &Match) -> bool {
    block.person.is_none()
        && block.title.is_none()
        && block.description.is_none()
        && block.labels.is_empty()
        && block.fields.is_empty()
        && block.any.is_empty()
        && block.not.is_none()
}

/// Whether everything that `outer` admits is in `inner`: then `not: inner` leaves nothing.
fn excludes(inner: &Match, outer: &Match) -> bool {
    if !is_sets_alone(inner) {
        return false;
    }
    let written = [
        inner.events.is_some(),
        inner.channels.is_some(),
        inner.severities.is_some(),
        inner.statuses.is_some(),
        inner.progress.is_some(),
        inner.sources.is_some(),
    ];
    let pairs = sets(inner).into_iter().zip(sets(outer)).zip(written);
    let mut covers = written.contains(&true);
    for (((_, inner), (_, outer)), is_written) in pairs {
        if is_written {
            covers &= match (inner, outer) {
                (Some(inner), Some(outer)) => outer.iter().all(|one| inner.contains(one)),
                _ => false,
            };
        }
    }
    covers
}

/// Whether some set of `inner` shares nothing with that of `outer`. A channel may be written by name or by id.
fn disjoint(inner: &Match, outer: &Match) -> bool {
    sets(inner).into_iter().zip(sets(outer)).any(|((name, inner), (_, outer))| match (inner, outer) {
        (Some(inner), Some(outer)) if name != "channels" => !inner.iter().any(|one| outer.contains(one)),
        _ => false,
    })
}
