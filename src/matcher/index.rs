//! The index: each rule is filed under its rarest equality.
//!
//! A rule that asks for a label, a channel or an event type by equality can only hold for an event that has that
//! value. Filing it under the one value that the fewest rules share means that an event looks at few rules
//! besides those that concern it, however many there are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{Event, Item};
use crate::rule::Rule;
use crate::rule::matching::{ChannelPattern, Match, NamePattern, Scalar, Test};

/// Rules under a text value.
type ByText = HashMap<Box<str>, Vec<u32>>;

/// Finds the rules that an event may concern.
#[derive(Debug, Default)]
pub struct Index {
    by_label: HashMap<Box<str>, ByText>,
    by_channel_id: HashMap<i64, Vec<u32>>,
    by_channel_name: ByText,
    by_event_type: ByText,
    /// Rules without any equality: asked for every event.
    always: Vec<u32>,
}

/// An equality that a rule may be filed under; it holds for an event that has one of the values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key<'r> {
    Label(&'r str, &'r str),
    ChannelId(i64),
    ChannelName(&'r str),
    EventType(&'r str),
}

impl Index {
    /// Builds the index over `rules`, which are addressed by their place in the slice.
    pub fn build(rules: &[Arc<Rule>]) -> Self {
        let mut shared: HashMap<Key<'_>, usize> = HashMap::new();
        for rule in rules {
            for key in equalities(&rule.matching).into_iter().flatten() {
                *shared.entry(key).or_default() += 1;
            }
        }
        let mut index = Self::default();
        for (place, rule) in (0u32..).zip(rules) {
            let rarest = equalities(&rule.matching)
                .into_iter()
                .min_by_key(|keys| keys.iter().map(|key| shared.get(key).copied().unwrap_or(0)).max().unwrap_or(0));
            match rarest {
                Some(keys) => keys.into_iter().for_each(|key| index.file(&key, place)),
                None => index.always.push(place),
            }
        }
        index
    }

    fn file(&mut self, key: &Key<'_>, place: u32) {
        let list = match *key {
            Key::Label(name, value) => self.by_label.entry(name.into()).or_default().entry(value.into()).or_default(),
            Key::ChannelId(id) => self.by_channel_id.entry(id).or_default(),
            Key::ChannelName(name) => self.by_channel_name.entry(name.into()).or_default(),
            Key::EventType(name) => self.by_event_type.entry(name.into()).or_default(),
        };
        list.push(place);
    }

    /// The places of the rules that may hold for `event`, ascending and each once, appended to `found`.
    pub fn candidates(&self, event: &Event, found: &mut Vec<u32>) {
        found.clear();
        found.extend_from_slice(&self.always);
        found.extend(self.by_event_type.get(&*event.event_type).into_iter().flatten());
        if !self.by_channel_id.is_empty() {
            found.extend(event.channel_id().and_then(|id| self.by_channel_id.get(&id)).into_iter().flatten());
        }
        if !self.by_channel_name.is_empty() {
            found.extend(event.channel_name().and_then(|name| self.by_channel_name.get(name)).into_iter().flatten());
        }
        if !self.by_label.is_empty() {
            for (name, value) in event.labels().entries() {
                let Some(values) = self.by_label.get(name) else { continue };
                // An equality holds for a list where it holds for any element.
                for text in value.as_str().into_iter().chain(value.elements().filter_map(Item::as_str)) {
                    found.extend(values.get(text).into_iter().flatten());
                }
            }
        }
        found.sort_unstable();
        found.dedup();
    }
}

/// The groups of equalities that `block` asks for: of each group the event must have one.
fn equalities(block: &Match) -> Vec<Vec<Key<'_>>> {
    let mut groups = Vec::new();
    for (name, matcher) in &block.labels {
        for test in &matcher.tests {
            let scalars = match test {
                Test::Equals(scalar) => std::slice::from_ref(scalar),
                Test::In(scalars) => scalars,
                _ => continue,
            };
            let keys = scalars.iter().map(|scalar| match scalar {
                Scalar::Text(text) => Some(Key::Label(name, text)),
                _ => None,
            });
            groups.extend(keys.collect::<Option<Vec<_>>>());
        }
    }
    if let Some(channels) = &block.channels {
        let keys = channels.iter().map(|channel| match channel {
            ChannelPattern::Id(id) => Some(vec![Key::ChannelId(*id)]),
            ChannelPattern::Name(NamePattern::Exact(name)) => Some(vec![Key::ChannelName(name)]),
            ChannelPattern::IdOrName(id, name) => Some(vec![Key::ChannelId(*id), Key::ChannelName(name)]),
            ChannelPattern::Any | ChannelPattern::Name(NamePattern::Glob(_)) => None,
        });
        groups.extend(keys.collect::<Option<Vec<_>>>().map(|keys| keys.concat()));
    }
    if let Some(events) = &block.events {
        let keys = events.iter().map(|event| match event {
            NamePattern::Exact(name) => Some(Key::EventType(name)),
            NamePattern::Glob(_) => None,
        });
        groups.extend(keys.collect::<Option<Vec<_>>>());
    }
    groups
}
