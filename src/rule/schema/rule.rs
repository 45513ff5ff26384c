//! Rule files and rules.

use serde_json::{Value, json};

use super::build::{Mapping, Schema, defined, key, list, list_or_empty, words};
use super::common::counted_by;
use crate::rule::Mode;
use crate::rule::read::{RULES_PER_FILE_MAX, STEPS_MAX, TESTS_PER_FILE_MAX, by};

/// The file itself.
pub(super) fn file() -> Mapping {
    Mapping::new(
        &["the file"],
        "Rules, and beside them their tests.",
        vec![
            key("rules", list(defined("rule"), RULES_PER_FILE_MAX), "The rules."),
            key(
                "tests",
                list_or_empty(defined("test"), TESTS_PER_FILE_MAX),
                "Events, and what they must lead to. `stanch test` runs them.",
            ),
        ],
    )
    .any_of(&["rules", "tests"])
}

/// Whether runs are reported, and dry-runs too.
pub(super) fn reporting() -> Value {
    json!({ "enum": [true, false, "dry-run"] })
}

/// Text that is code: an expression or block of Rhai that gives a bool.
pub(super) fn script() -> Value {
    json!({ "anyOf": [defined("text"), { "type": "boolean" }] })
}

pub(super) fn add(schema: &mut Schema) {
    let steps = || list(defined("step"), STEPS_MAX);
    let after = || list_or_empty(defined("step"), STEPS_MAX);
    schema.mapping(
        "rule",
        Mapping::new(
            &["the rule"],
            "When something happens, and nothing objects, these steps are done.",
            vec![
                key(
                    "id",
                    json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$" }),
                    "Its name, unique in the rule set: a-z, 0-9 and `-`.",
                )
                .required()
                .example("disk-full"),
                key("description", defined("text"), "What it is for."),
                key("owner", defined("text"), "Who answers for it; shown wherever the rule is."),
                key("mode", words(Mode::NAMES.iter().map(|(name, _)| *name)), "How far it may go.").default("auto"),
                key("match", defined("match"), "Which events it concerns.").required(),
                key("when", script(), "A Rhai expression that must be true besides `match`.")
                    .example("incident.alert_cnt >= 3"),
                key("target", defined("text"), "What it acts on; guards count by it. Empty means: do nothing.")
                    .example("{{ labels.resource }}"),
                key("dedupe", defined("dedupe"), "Which matches count as one occasion."),
                key(
                    "late",
                    words(["ignore", "newest"]),
                    "What an event does that is older than what is known of its incident.",
                )
                .default("ignore"),
                key("guards", defined("guards"), "What may object."),
                key("steps", steps(), "What it does, in order."),
                key("steps_from", defined("text"), "A script function that returns the steps: NAME::function.")
                    .example("hosts::restart_plan"),
                key("verify", defined("verify"), "How it makes sure that the trouble is gone."),
                key("on_success", after(), "What follows when it succeeded."),
                key("on_failure", after(), "What follows when it did not."),
                key("report", reporting(), "What is said on the incident about its runs.").example(false),
            ],
        )
        .one_of(&["steps", "steps_from"]),
    );
    schema.mapping(
        "dedupe",
        Mapping::new(
            &["`dedupe`"],
            "Which matches count as one occasion.",
            vec![
                key("by", list(counted_by(by::DEDUPE), 16), "The parts of the key, all of which must be equal.")
                    .default(json!(["incident"])),
                key(
                    "for",
                    json!({ "anyOf": [{ "const": "incident" }, defined("duration")] }),
                    "How long: until the incident closes or reopens, or a time.",
                )
                .default("incident"),
            ],
        ),
    );
    schema.mapping(
        "verify",
        Mapping::new(
            &["`verify`"],
            "Steps that must pass in the end.",
            vec![
                key("within", defined("duration"), "How long it may take until they pass.").required().example("5m"),
                key("every", defined("duration"), "How long to wait between two tries.").default("15s"),
                key("steps", steps(), "The steps that must all pass.").required(),
            ],
        ),
    );
}
