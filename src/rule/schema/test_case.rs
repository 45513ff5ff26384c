//! Tests.

use serde_json::json;

use super::build::{Mapping, Schema, defined, flag, key, list, list_or_empty, named, words};
use crate::rule::read::STEPS_MAX;
use crate::rule::test_case::{MORE_OUTCOMES, OUTCOMES, RUN_ENDS};
use crate::rule::yaml::values::LIST_MAX;

pub(super) fn add(schema: &mut Schema) {
    let payload = || json!({ "anyOf": [defined("text"), { "type": "object", "minProperties": 1 }] });
    let expectations = || list_or_empty(defined("expectation"), LIST_MAX);
    let overrides = || named(json!({}), LIST_MAX);
    schema.mapping(
        "test",
        Mapping::new(
            &["the test"],
            "Events, and what they must lead to.",
            vec![
                key("name", defined("text"), "What it shows.").required().example("a full disk is cleaned"),
                key("event", payload(), "The event: a JSON file beside this one, or its body.")
                    .example("fixtures/disk-full.json"),
                key(
                    "events",
                    list(json!({ "anyOf": [defined("text"), defined("test-event"), { "type": "object", "anyOf": [{ "required": ["incident"] }, { "required": ["alert"] }] }] }), 1000),
                    "Several events, in the order in which they come.",
                ),
                key("with", overrides(), "Values on top of each event, by dotted path.")
                    .example(json!({ "incident.labels.resource": "db-07" })),
                key("fresh", flag(), "Each event gets an id of its own.").default(false),
                key("runs", list(defined("run-fate"), LIST_MAX), "How the runs of rules go; well and at once unless said."),
                key("expect", expectations(), "What they led to, in order; [] means nothing."),
            ],
        )
        .one_of(&["event", "events"]),
    );
    schema.mapping(
        "test-event",
        Mapping::new(
            &["the event"],
            "One of several events.",
            vec![
                key("event", payload(), "The event: a JSON file beside this one, or its body.").required(),
                key(
                    "after",
                    json!({ "anyOf": [defined("duration"), { "const": "0s" }] }),
                    "How long after the one before it comes.",
                )
                .example("1s"),
                key("with", overrides(), "Values on top of it, by dotted path."),
                key("fresh", flag(), "It gets an id of its own.").default(false),
                key("expect", expectations(), "What it led to; [] means nothing."),
            ],
        ),
    );
    schema.mapping(
        "run-fate",
        Mapping::new(
            &["the run"],
            "How a run of a rule goes; the last one of a rule stands for all that follow.",
            vec![
                key("rule", defined("text"), "Of which rule.").required().example("disk-full"),
                key("ends", words(RUN_ENDS.iter().map(|(word, _)| *word)), "How it ends.").default("succeeded"),
                key("takes", defined("duration"), "How long it lasts; nothing unless given.").example("2m"),
            ],
        ),
    );
    schema.mapping(
        "expectation",
        Mapping::new(
            &["the expectation"],
            "What an event led to. What is not written may be anything.",
            vec![
                key("rule", defined("text"), "For which rule."),
                key(
                    "outcome",
                    words(OUTCOMES.iter().copied().chain(MORE_OUTCOMES.iter().map(|(word, _)| *word))),
                    "What became of it.",
                ),
                key("because", defined("text"), "The clause that failed, or the guard that objected.")
                    .example("match.labels.env"),
                key("reason", defined("text"), "A part of the reason in words."),
                key("until", defined("text"), "Until when a guard objects: a duration after the event, or a time.")
                    .example("30m"),
                key("target", defined("text"), "The rendered target."),
                key("steps", list_or_empty(json!({}), STEPS_MAX), "The rendered steps, or parts of them."),
            ],
        ),
    );
}
