//! Which rules an event concerns, whether their `match` holds, and the first clause that does not.
//!
//! [`Index`] finds the few rules that an event may concern without asking the others; [`holds`] and [`clauses`]
//! evaluate one rule's block. This module never reads history.

mod index;
mod value;

pub use index::Index;

use std::ops::ControlFlow;

use crate::event::{Event, Item};
use crate::rule::matching::{ChannelPattern, Match, Matcher};

/// One clause of a `match` block, held against an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Where it stands: `match.labels.env`.
    pub name: String,
    /// What it asks for, in words.
    pub expected: String,
    /// What the event has, in words.
    pub seen: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Whether `block` holds for `event`; if not, the first clause that does not.
pub fn holds(block: &Match, event: &Event) -> Result<(), Clause> {
    first_failure(block, event, Walk::default())
}

/// Whether `block` still holds for `event`, a later state of what it held for before: the type of the event and
/// who caused it are left out, since a later state comes with another event.
pub fn still_holds(block: &Match, event: &Event) -> Result<(), Clause> {
    first_failure(block, event, Walk { state_only: true })
}

/// Whether every test of `matcher` holds for a text.
pub(crate) fn text_holds(matcher: &Matcher, text: &str) -> bool {
    value::holds_text(matcher, Some(text))
}

/// Every clause of `block`, held against `event`.
pub fn clauses(block: &Match, event: &Event) -> Vec<Clause> {
    let mut all = Vec::new();
    let walked: ControlFlow<()> = Walk::default().block(block, event, &mut |holds, clause| {
        all.push(Clause { holds, ..clause() });
        ControlFlow::Continue(())
    });
    debug_assert!(walked.is_continue(), "this visitor never breaks");
    all
}

fn first_failure(block: &Match, event: &Event, walk: Walk) -> Result<(), Clause> {
    match walk.block(block, event, &mut |holds, clause| {
        if holds { ControlFlow::Continue(()) } else { ControlFlow::Break(clause()) }
    }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(clause) => Err(clause),
    }
}

/// Is told whether a clause holds, and can ask for a description of it.
type Visit<'v, B> = dyn FnMut(bool, &dyn Fn() -> Clause) -> ControlFlow<B> + 'v;

/// Goes through the clauses of a block in their documented order, the cheap ones first.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    /// Leave out `events` and `person`.
    state_only: bool,
}

impl Walk {
    /// Calls `visit` with whether each clause holds and a way to describe it; stops where it breaks.
    fn block<B>(self, block: &Match, event: &Event, visit: &mut Visit<'_, B>) -> ControlFlow<B> {
        if let Some(patterns) = block.events.as_ref().filter(|_| !self.state_only) {
            let holds = patterns.iter().any(|pattern| pattern.matches(&event.event_type));
            visit(holds, &|| clause("events", one_of(patterns), text(Some(&event.event_type))))?;
        }
        if let Some(patterns) = &block.channels {
            let holds = patterns.iter().any(|pattern| channel_matches(pattern, event));
            visit(holds, &|| clause("channels", one_of(patterns), channel(event)))?;
        }
        for (name, allowed, seen) in [
            ("sources", &block.sources, Some(&*event.source)),
            ("severities", &block.severities, event.severity()),
            ("statuses", &block.statuses, event.status()),
            ("progress", &block.progress, event.progress()),
        ] {
            if let Some(allowed) = allowed {
                let holds = seen.is_some_and(|seen| allowed.iter().any(|one| one == seen));
                visit(holds, &|| clause(name, one_of(allowed), text(seen)))?;
            }
        }
        if let Some(allowed) = block.person.as_ref().filter(|_| !self.state_only) {
            let holds = allowed.iter().any(|one| person_is(event, one));
            visit(holds, &|| clause("person", one_of(allowed), person(event)))?;
        }
        for (name, matcher, seen) in
            [("title", &block.title, event.title()), ("description", &block.description, event.description())]
        {
            if let Some(matcher) = matcher {
                let holds = value::holds_text(matcher, seen);
                visit(holds, &|| clause(name, all_of(matcher), text(seen)))?;
            }
        }
        for (group, matchers, values) in
            [("labels", &block.labels, event.labels()), ("fields", &block.fields, event.fields())]
        {
            for (name, matcher) in matchers {
                let seen = values.get(name);
                let holds = value::holds(matcher, seen);
                visit(holds, &|| clause(&format!("{group}.{name}"), all_of(matcher), value::describe(seen)))?;
            }
        }
        if !block.any.is_empty() {
            let holds = block.any.iter().any(|inner| self.inner(inner, event));
            visit(holds, &|| {
                let blocks = block.any.len();
                clause("any", format!("one of {blocks} blocks to hold"), "none of them holds".into())
            })?;
        }
        if let Some(inner) = &block.not {
            let holds = !self.inner(inner, event);
            visit(holds, &|| clause("not", "the block not to hold".into(), "it holds".into()))?;
        }
        ControlFlow::Continue(())
    }

    fn inner(self, block: &Match, event: &Event) -> bool {
        self.block(block, event, &mut |holds, _| if holds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            .is_continue()
    }
}

fn clause(name: &str, expected: String, seen: String) -> Clause {
    Clause { name: format!("match.{name}"), expected, seen, holds: false }
}

fn channel_matches(pattern: &ChannelPattern, event: &Event) -> bool {
    match pattern {
        ChannelPattern::Any => true,
        ChannelPattern::Id(id) => event.channel_id() == Some(*id),
        ChannelPattern::Name(name) => event.channel_name().is_some_and(|seen| name.matches(seen)),
        ChannelPattern::IdOrName(id, name) => event.channel_id() == Some(*id) || event.channel_name() == Some(name),
    }
}

fn person_is(event: &Event, wanted: &str) -> bool {
    let Some(person) = event.person() else { return false };
    let email = person.get("email").and_then(Item::as_str);
    let id = person.get("person_id").and_then(Item::as_i64);
    email.is_some_and(|email| !email.is_empty() && email.eq_ignore_ascii_case(wanted))
        || id.is_some_and(|id| wanted.parse() == Ok(id))
}

fn person(event: &Event) -> String {
    match event.person() {
        None => "nobody (no person caused this event)".into(),
        Some(person) => match person.get("email").and_then(Item::as_str).filter(|email| !email.is_empty()) {
            Some(email) => text(Some(email)),
            None => {
                let id = person.get("person_id").map(|id| id.to_value().to_string());
                id.unwrap_or_else(|| "an unnamed person".into())
            }
        },
    }
}

fn channel(event: &Event) -> String {
    match (event.channel_name(), event.channel_id()) {
        (Some(name), Some(id)) => format!("{} ({id})", text(Some(name))),
        (Some(name), None) => text(Some(name)),
        (None, Some(id)) => id.to_string(),
        (None, None) => "no channel".into(),
    }
}

fn text(seen: Option<&str>) -> String {
    value::describe_text(seen)
}

fn one_of<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

fn all_of(matcher: &Matcher) -> String {
    let texts: Vec<String> = matcher.tests.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}

#[cfg(test)]
mod tests;
