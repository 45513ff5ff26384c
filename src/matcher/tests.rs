//! The index against the plain evaluation of every rule.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Index, holds};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::rule::guards::Guards;
use crate::rule::matching::{ChannelPattern, Match, Matcher, NamePattern, Scalar, Test, TextGlob};
use crate::rule::{By, Dedupe, DedupeFor, LatePolicy, Mode, Place, Reporting, Rule, RuleId};

fn rule(matching: Match) -> Arc<Rule> {
    Arc::new(Rule {
        id: RuleId::new("r"),
        description: None,
        owner: None,
        mode: Mode::Auto,
        matching,
        when: None,
        target: None,
        dedupe: Dedupe { by: vec![By::Incident], lasts: DedupeFor::Incident },
        late: LatePolicy::Ignore,
        guards: Guards::default(),
        steps: Vec::new(),
        steps_from: None,
        verify: None,
        on_success: Vec::new(),
        on_failure: Vec::new(),
        report: Reporting::Off,
        place: Place { file: Arc::new(PathBuf::from("r.yaml")), line: 1, column: 1 },
    })
}

fn event(kind: &str, channel: (i64, &str), labels: &Value) -> Event {
    let push = json!({
        "event_id": "e", "event_time": 1_772_625_600_000_i64, "event_type": kind,
        "incident": { "incident_id": "i", "channel_id": channel.0, "channel_name": channel.1, "labels": labels },
    });
    crate::event::read(push.to_string().into(), "a".into(), Timestamp::from_millis(1_772_625_600_000)).unwrap()
}

fn candidates(index: &Index, event: &Event) -> Vec<u32> {
    let mut found = vec![99];
    index.candidates(event, &mut found);
    found
}

#[test]
fn a_rule_is_found_by_any_element_of_a_list() {
    let tests = vec![Test::Equals(Scalar::Text("db-2".into()))];
    let labels = vec![("host".to_owned(), Matcher { tests })];
    let rules = [rule(Match { labels, ..Match::default() })];
    let index = Index::build(&rules);
    let event = event("i_new", (5, "Orders"), &json!({ "host": ["db-1", "db-2"] }));
    assert_eq!(holds(&rules[0].matching, &event), Ok(()));
    assert_eq!(candidates(&index, &event), [0]);
}

/// Few words, so that rules and events meet.
const WORDS: &[&str] = &["a", "b", "c"];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS)
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        4 => word().prop_map(|word| Scalar::Text(word.into())),
        1 => (0..2i64).prop_map(Scalar::Int),
        1 => any::<bool>().prop_map(Scalar::Bool),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        4 => scalar().prop_map(Test::Equals),
        4 => prop::collection::vec(scalar(), 1..3).prop_map(Test::In),
        1 => scalar().prop_map(Test::Not),
        1 => prop::collection::vec(scalar(), 1..3).prop_map(Test::NotIn),
        1 => word().prop_map(|word| Test::Contains(word.into())),
        1 => any::<bool>().prop_map(Test::Exists),
    ]
}

fn name() -> impl Strategy<Value = NamePattern> {
    prop_oneof![
        4 => word().prop_map(|word| NamePattern::Exact(word.into())),
        1 => word().prop_map(|word| NamePattern::Glob(TextGlob::new(&format!("{word}*")).unwrap())),
    ]
}

fn channel() -> impl Strategy<Value = ChannelPattern> {
    prop_oneof![
        1 => Just(ChannelPattern::Any),
        3 => (0..3i64).prop_map(ChannelPattern::Id),
        3 => name().prop_map(ChannelPattern::Name),
    ]
}

fn leaf() -> impl Strategy<Value = Match> {
    let matcher = prop::collection::vec(test(), 1..3).prop_map(|tests| Matcher { tests });
    (
        prop::option::of(prop::collection::vec(name(), 1..3)),
        prop::option::of(prop::collection::vec(channel(), 1..3)),
        prop::collection::vec((word().prop_map(str::to_owned), matcher), 0..3),
    )
        .prop_map(|(events, channels, labels)| Match { events, channels, labels, ..Match::default() })
}

fn block() -> impl Strategy<Value = Match> {
    (leaf(), prop::collection::vec(leaf(), 0..3), prop::option::weighted(0.3, leaf()))
        .prop_map(|(leaf, any, not)| Match { any, not: not.map(Box::new), ..leaf })
}

fn value() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        4 => word().prop_map(|word| json!(word)),
        1 => (0..2i64).prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(|bool| json!(bool)),
        1 => Just(Value::Null),
    ];
    prop_oneof![3 => single.clone(), 2 => prop::collection::vec(single, 0..3).prop_map(Value::Array)]
}

proptest! {
    #[test]
    fn every_rule_that_holds_is_among_the_candidates(
        blocks in prop::collection::vec(block(), 0..12),
        kind in word(),
        channel in (0..3i64, word()),
        labels in prop::collection::btree_map(word(), value(), 0..3),
    ) {
        let rules: Vec<_> = blocks.into_iter().map(rule).collect();
        let event = event(kind, channel, &json!(labels));
        let found = candidates(&Index::build(&rules), &event);
        prop_assert!(found.is_sorted_by(|a, b| a < b), "ascending, each once: {found:?}");
        for (place, rule) in (0u32..).zip(&rules) {
            if holds(&rule.matching, &event).is_ok() {
                prop_assert!(found.contains(&place), "rule {place} holds: {:?}", rule.matching);
            }
        }
    }
}
