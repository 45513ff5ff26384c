//! `guards`.

use serde_json::json;

use super::build::{Mapping, Schema, count, defined, flag, key, list, whole, words};
use super::common::counted_by;
use crate::journal::history::FAILURES_MAX;
use crate::rule::read::{STEPS_MAX, by};
use crate::rule::yaml::values::LIST_MAX;

pub(super) fn add(schema: &mut Schema) {
    let duration = || defined("duration");
    schema.mapping(
        "guards",
        Mapping::new(
            &["`guards`"],
            "What may object to a run. All are off unless a default is given.",
            vec![
                key("active", defined("active"), "Act only in, or except in, schedules of the config."),
                key("unless_acked", flag(), "Hold off while a person has the incident (progress Processing).")
                    .default(false),
                key("hold", defined("hold"), "Wait, durably, and act only if nothing calls it off meanwhile."),
                key("threshold", defined("threshold"), "Act on the nth matching event in a time."),
                key("cooldown", duration(), "At least so long between two runs of the rule on one target.")
                    .example("30m"),
                key("rate", defined("rate"), "At most so many runs in a time.")
                    .default(json!({ "max": 20, "per": "1h", "by": "rule" })),
                key("concurrency", defined("concurrency"), "At most so many runs at a time, over the whole rule set.")
                    .default(json!({ "max": 1, "by": "target", "over": "queue" })),
                key("blast_radius", defined("blast-radius"), "At most so many distinct targets in a time."),
                key("breaker", defined("breaker"), "After so many failures the rule rests.")
                    .default(json!({ "failures": 3, "within": "1h", "open_for": "1h" })),
                key("attempts", defined("attempts"), "After so many runs other steps are done instead, once."),
                key("recheck", words(["incident"]), "Ask Flashduty just before acting; no answer means no action."),
                key("max_wait", duration(), "A run that waited longer than this expires.").default("15m"),
                key("storm_hold", duration(), "Hold off so long after an alert storm in the channel.").example("15m"),
            ],
        ),
    );
    let schedules = || list(defined("text"), LIST_MAX);
    schema.mapping(
        "active",
        Mapping::new(
            &["`active`"],
            "Schedules of the config.",
            vec![
                key("only", schedules(), "Act only while one of these is on.").example(json!(["night"])),
                key("except", schedules(), "Do not act while one of these is on."),
            ],
        ),
    );
    schema.mapping(
        "hold",
        Mapping::new(
            &["`hold`"],
            "Wait, and look again.",
            vec![
                key("for", duration(), "How long.").required().example("3m"),
                key(
                    "cancel_on",
                    list(defined("event-type"), LIST_MAX),
                    "Events of the incident that call it off, by name or glob.",
                )
                .example(json!(["i_ack", "i_rslv"])),
            ],
        ),
    );
    schema.mapping(
        "threshold",
        Mapping::new(
            &["`threshold`"],
            "Act on the nth matching event.",
            vec![
                key("count", count(), "On which matching event to act.").required().example(3),
                key("within", duration(), "In which time they must come.").required().example("10m"),
                key("by", list(counted_by(by::THRESHOLD), 16), "What is counted apart.")
                    .example(json!(["labels.service"])),
            ],
        ),
    );
    schema.mapping(
        "concurrency",
        Mapping::new(
            &["`concurrency`"],
            "At most so many runs at a time.",
            vec![
                key("max", count(), "How many.").default(1),
                key("by", counted_by(by::CONCURRENCY), "What is locked: rule, target, channel or labels.NAME.")
                    .default("target"),
                key("over", words(["queue", "skip"]), "What one too many does: waits, or does nothing.")
                    .default("queue"),
            ],
        ),
    );
    let failures_max = i64::try_from(FAILURES_MAX).unwrap_or(i64::MAX);
    schema.mapping(
        "breaker",
        Mapping::new(
            &["`breaker`"],
            "After so many failures the rule rests.",
            vec![
                key("failures", whole(1, failures_max), "How many failures.").default(3),
                key("within", duration(), "In which time.").default("1h"),
                key("open_for", duration(), "How long it rests.").default("1h"),
            ],
        ),
    );
    schema.mapping(
        "attempts",
        Mapping::new(
            &["`attempts`"],
            "After so many runs, escalate.",
            vec![
                key("max", count(), "How many runs.").required().example(2),
                key("per", duration(), "In which time.").required().example("24h"),
                key("by", counted_by(by::RATE), "What is counted apart.").default("target"),
                key("then", list(defined("step"), STEPS_MAX), "What is done instead, once.").required(),
            ],
        ),
    );
}
