//! Values that occur in many places.

use serde_json::{Value, json};

use super::build::{Mapping, Schema, count, defined, key};
use crate::rule::read::by;

/// What rule files and the config have in common. Their counts are counted by different things.
pub(super) fn add(schema: &mut Schema, rate_by: by::Choices, blast_radius_by: by::Choices) {
    schema.value(
        "text",
        json!({ "type": "string", "pattern": "\\S", "description": "Text. A number or bool must be quoted to be text." }),
    );
    schema.value(
        "duration",
        json!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$",
            "description": "A duration: 500ms, 30s, 5m, 1h, 7d.",
            "examples": ["30s", "5m", "1h"],
        }),
    );
    schema.mapping(
        "rate",
        Mapping::new(
            &["`rate`"],
            "At most so many runs in a time.",
            vec![
                key("max", count(), "How many.").required().example(3),
                key("per", defined("duration"), "In which time.").required().example("1h"),
                key("by", counted_by(rate_by), "What is counted apart.").default("rule"),
            ],
        ),
    );
    schema.mapping(
        "blast-radius",
        Mapping::new(
            &["`blast_radius`"],
            "At most so many distinct targets in a time.",
            vec![
                key("targets", count(), "How many distinct targets.").required().example(3),
                key("per", defined("duration"), "In which time.").required().example("30m"),
                key("by", counted_by(blast_radius_by), "What is counted apart.").default("rule"),
            ],
        ),
    );
}

/// What counts are counted by, as the reader has it.
pub(super) fn counted_by(choices: by::Choices) -> Value {
    let words: Vec<&str> = choices.words.iter().map(|(word, _)| *word).collect();
    let label = json!({ "type": "string", "pattern": "^labels\\..", "description": "The value of a label." });
    let mut any = vec![json!({ "enum": words })];
    any.extend(choices.labels.then_some(label));
    json!({ "anyOf": any })
}
