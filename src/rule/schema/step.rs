//! Steps.

use serde_json::{Value, json};

use super::build::{Key, Mapping, Schema, defined, flag, key, list, named, whole, words};
use super::rule::script;
use crate::plan::EACH_ITEMS_MAX;
use crate::rule::read::{EACH_BATCH_MAX, STEPS_MAX};
use crate::rule::yaml::values::LIST_MAX;

/// The kinds of step; each has exactly one of them.
const KINDS: &[&str] = &["run", "shell", "http", "ssh", "flashduty", "wait", "each"];
/// The keys that processes alone have.
const OF_PROCESSES: &[&str] = &["env", "stdin", "cwd", "user", "exit_codes", "allow_sudo"];

/// Text in which `{{ path }}` stands for a value; a number or bool stands as it is written.
fn argument() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

pub(super) fn add(schema: &mut Schema) {
    let keys = common().into_iter().chain(kinds()).chain(of_processes()).collect();
    schema.mapping(
        "step",
        Mapping::new(&["the step"], "One step: exactly one kind of action.", keys)
            .one_of(KINDS)
            .only_beside(OF_PROCESSES, &["run", "shell"]),
    );
    schema.mapping(
        "retry",
        Mapping::new(
            &["`retry`"],
            "Further tries of a step that failed.",
            vec![
                key("attempts", whole(1, 20), "How many tries in all.").required().example(3),
                key("backoff", defined("duration"), "The wait after the first; doubled after each further one.")
                    .default("5s"),
            ],
        ),
    );
    http(schema);
    remote(schema);
    schema.mapping(
        "flashduty",
        Mapping::new(
            &["`flashduty`"],
            "Writes back to the incident.",
            vec![
                key("comment", defined("text"), "A comment on the incident."),
                key("ack", json!({ "const": true }), "Acknowledges the incident."),
                key(
                    "resolve",
                    json!({ "anyOf": [{ "const": true }, defined("resolve")] }),
                    "Closes the incident, with what is noted.",
                ),
                key("snooze", defined("duration"), "Snoozes the incident: whole minutes, 1m to 1d.").example("30m"),
                key("field", defined("field"), "Sets a custom field."),
                key("reopen", json!({ "const": true }), "Opens the incident again."),
            ],
        ),
    );
    schema.mapping(
        "resolve",
        Mapping::new(
            &["`resolve`"],
            "What is noted at the closing.",
            vec![
                key("root_cause", defined("text"), "The root cause."),
                key("resolution", defined("text"), "What was done."),
            ],
        ),
    );
    schema.mapping(
        "field",
        Mapping::new(
            &["`field`"],
            "A custom field.",
            vec![
                key("name", defined("text"), "Its name.").required(),
                key("value", json!({ "type": ["string", "number", "boolean", "array"] }), "Its new value.").required(),
            ],
        ),
    );
}

fn common() -> Vec<Key> {
    vec![
        key("name", defined("text"), "The name by which later steps know it: steps.NAME.exit_code."),
        key("timeout", defined("duration"), "When its whole process tree is ended.").default("60s"),
        key("retry", defined("retry"), "Further tries where it fails."),
        key("if", script(), "A Rhai expression; the step is left out where it is false.")
            .example("steps.probe.exit_code != 0"),
        key("idempotent", flag(), "It may be run again after a crash.").default(false),
        key("continue_on_error", flag(), "Its failure does not end the run.").default(false),
    ]
}

fn kinds() -> Vec<Key> {
    vec![
        key("run", list(argument(), 1024), "A program and its arguments. No shell reads them.").example(json!([
            "./scripts/clear-logs.sh",
            "--host",
            "{{ target }}"
        ])),
        key(
            "shell",
            defined("text"),
            "Text for /bin/sh -eu. No templates: values come in $STANCH_TARGET and its like.",
        )
        .example("systemctl restart \"$STANCH_TARGET\""),
        key("http", defined("http"), "An HTTP request."),
        key("ssh", defined("ssh"), "A command on another host, by the system's OpenSSH."),
        key("flashduty", defined("flashduty"), "Writes back to the incident."),
        key("wait", defined("duration"), "A pause.").example("30s"),
        key("each", defined("each"), "Steps for each element of a list, a few at a time."),
    ]
}

fn of_processes() -> Vec<Key> {
    vec![
        key("env", named(argument(), LIST_MAX), "Further environment variables."),
        key("stdin", defined("text"), "What it reads: event (its JSON), none, or this text.").default("event"),
        key("cwd", defined("text"), "Its working folder; relative ones begin at the config's folder."),
        key("user", defined("text"), "The account it runs as."),
        key("exit_codes", list(whole(0, 255), LIST_MAX), "Exit codes that count as success.").default(json!([0])),
        key("allow_sudo", flag(), "The program may gain privileges.").default(false),
    ]
}

fn http(schema: &mut Schema) {
    schema.mapping(
        "http",
        Mapping::new(
            &["`http`"],
            "An HTTP request. Redirects are not followed.",
            vec![
                key("method", words(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]), "GET, or POST with a body."),
                key("url", defined("text"), "Where to. The host is literal and on the config's `http.allow`.")
                    .required()
                    .example("https://inventory.internal/hosts/{{ target }}"),
                key("headers", named(argument(), LIST_MAX), "Further headers."),
                key("query", named(argument(), LIST_MAX), "Parameters of the query."),
                key("json", json!({}), "The body as JSON; texts in it may be templates."),
                key("body", defined("text"), "The body as text."),
                key("expect", defined("http-expect"), "What counts as success."),
            ],
        )
        .not_both("json", "body"),
    );
    schema.mapping(
        "http-expect",
        Mapping::new(
            &["`expect`"],
            "What counts as success.",
            vec![
                key(
                    "status",
                    list(json!({ "anyOf": [{ "pattern": "^[1-5]xx$", "type": "string" }, whole(100, 599), { "pattern": "^[1-5][0-9][0-9]$", "type": "string" }] }), LIST_MAX),
                    "Statuses or classes of them.",
                )
                .default(json!(["2xx"])),
                key("when", script(), "A Rhai expression on `response`.").example("response.json.ok == true"),
            ],
        ),
    );
}

fn remote(schema: &mut Schema) {
    schema.mapping(
        "ssh",
        Mapping::new(
            &["`ssh`"],
            "A command on another host. An unknown or changed host key fails.",
            vec![
                key("host", defined("text"), "Which host.").required().example("{{ target }}"),
                key("user", defined("text"), "As which user."),
                key("port", argument(), "On which port."),
                key("run", list(argument(), 1024), "A program and its arguments, quoted for the far shell."),
                key("shell", defined("text"), "Text for the far shell. No templates."),
                key("env", named(argument(), LIST_MAX), "Further environment variables."),
                key("stdin", defined("text"), "What it reads: event (its JSON), none, or this text.").default("event"),
                key("exit_codes", list(whole(0, 255), LIST_MAX), "Exit codes that count as success.")
                    .default(json!([0])),
            ],
        )
        .one_of(&["run", "shell"]),
    );
    schema.mapping(
        "each",
        Mapping::new(
            &["`each`"],
            "Steps for each element of a list, rolling.",
            vec![
                key(
                    "in",
                    json!({ "anyOf": [script(), list(argument(), EACH_ITEMS_MAX)] }),
                    "A Rhai expression that gives the list, or the elements themselves.",
                )
                .required(),
                key("as", defined("text"), "The name of the element in the steps.").default("item").example("host"),
                key("batch", whole(1, most(EACH_BATCH_MAX)), "How many at a time.").default(1),
                key("tolerance", whole(0, most(EACH_ITEMS_MAX)), "How many may fail before it stops.").default(0),
                key("steps", list(defined("step"), STEPS_MAX), "What is done for each.").required(),
            ],
        ),
    );
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
