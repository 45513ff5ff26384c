//! The config.

use serde_json::{Value, json};

use super::build::{Key, Mapping, Schema, defined, flag, key, list, list_or_empty, named, whole, words};
use crate::rule::Mode;
use crate::rule::yaml::values::LIST_MAX;

/// An address with its port.
fn address() -> Value {
    json!({ "type": "string", "pattern": ":[0-9]{1,5}$" })
}

/// A number of bytes with its unit.
fn size() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" })
}

/// `22:00`; it must be quoted.
fn time_of_day() -> Value {
    json!({ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$" })
}

/// The file itself.
pub(super) fn file() -> Mapping {
    Mapping::new(
        &["the config"],
        "What the daemon listens to, where everything lies, and what it may do. Relative paths begin at this file.",
        vec![
            key("listen", address(), "The webhook listener.").default("127.0.0.1:8080"),
            key("tls", defined("tls"), "TLS of the webhook listener."),
            key("data", defined("text"), "The folder of the journal and the admin socket.").default("./data"),
            key("rules", defined("text"), "The folder of the rule files.").default("./rules"),
            key("scripts", defined("text"), "The folder of scripts, and of *.rhai modules.").default("./scripts"),
            key("mode", words(Mode::NAMES.iter().map(|(name, _)| *name)), "The ceiling for every rule.")
                .default("auto"),
            key("ordering", words(["default", "strict"]), "Whether events that only annotate can make others late.")
                .default("default"),
            key("sources", list(defined("source"), 64), "Where pushes come from.").required(),
            key("flashduty", defined("flashduty"), "The Open API, for writing back."),
            key("http", defined("http"), "What steps of kind `http` may reach."),
            key("ssh", defined("ssh"), "What steps of kind `ssh` use."),
            key("limits", defined("limits"), "Limits on what is taken and done at once."),
            key("budgets", list_or_empty(defined("budget"), 100), "Caps across rules."),
            key("schedules", named(defined("schedule"), LIST_MAX), "Named times, for `active`."),
            key("retention", defined("retention"), "How long records are kept."),
            key("admin", defined("admin"), "Where the admin interface listens."),
            key("log", defined("log"), "Logging."),
            key("traces", defined("traces"), "Traces by OTLP over HTTP; needs a build with the feature `otlp`."),
        ],
    )
}

pub(super) fn add(schema: &mut Schema) {
    schema.mapping(
        "secret",
        Mapping::new(
            &["`secret`", "`previous`", "`app_key`", "`admin.token`", "a value of `traces.headers`"],
            "Where a secret is kept. It never stands in the config.",
            vec![
                key("file", defined("text"), "A file, readable by its owner alone.").example("secrets/webhook-token"),
                key("env", defined("text"), "An environment variable."),
                key("credential", defined("text"), "A systemd credential."),
            ],
        )
        .one_of(&["file", "env", "credential"]),
    );
    sources(schema);
    limits(schema);
    let duration = || defined("duration");
    schema.mapping(
        "schedule",
        Mapping::new(
            &["schedule"],
            "A time: on from `from` to `to`, over midnight where `to` is not after it.",
            vec![
                key("days", list(defined("text"), LIST_MAX), "Weekdays and ranges on which it begins.")
                    .example(json!(["mon-fri"])),
                key("dates", list(defined("text"), LIST_MAX), "Dates on which it begins.")
                    .example(json!(["2026-12-31"])),
                key("from", time_of_day(), "When it begins.").example("22:00"),
                key("to", time_of_day(), "When it ends.").example("07:00"),
                key("zone", defined("text"), "The time zone.").default("UTC").example("Asia/Shanghai"),
            ],
        )
        .any_of(&["days", "dates", "from", "to"]),
    );
    schema.mapping(
        "retention",
        Mapping::new(
            &["`retention`"],
            "How long records are kept.",
            vec![
                key("events", duration(), "Bodies of events.").default("30d"),
                key("runs", duration(), "Decisions, runs and their outcomes.").default("180d"),
            ],
        ),
    );
    schema.mapping(
        "admin",
        Mapping::new(
            &["`admin`"],
            "The admin interface.",
            vec![
                key("socket", defined("text"), "The unix socket.").default("data/stanch.sock"),
                key("listen", address(), "A TCP listener besides it; needs a token.").example("127.0.0.1:8081"),
                key("token", defined("secret"), "The token for the TCP listener."),
                key("read_token", defined("secret"), "A token that sees everything and does nothing."),
            ],
        ),
    );
    schema.mapping(
        "log",
        Mapping::new(
            &["`log`"],
            "Logging.",
            vec![
                key("format", words(["auto", "human", "json"]), "How lines look.").default("auto"),
                key("level", words(["error", "warn", "info", "debug", "trace"]), "The least level.").default("info"),
            ],
        ),
    );
    schema.mapping(
        "traces",
        Mapping::new(
            &["`traces`"],
            "Traces by OTLP over HTTP.",
            vec![
                key("endpoint", defined("text"), "The URL that takes them, path included.")
                    .required()
                    .example("http://127.0.0.1:4318/v1/traces"),
                key("headers", named(defined("secret"), 16), "Headers, with where their values are kept."),
                key(
                    "sample",
                    json!({ "type": "number", "minimum": 0, "maximum": 1 }),
                    "The part of events that is traced.",
                )
                .default(1.0),
            ],
        ),
    );
}

fn sources(schema: &mut Schema) {
    let networks = || list_or_empty(defined("text"), LIST_MAX);
    schema.mapping(
        "source",
        Mapping::new(
            &["the source"],
            "A path on which pushes come, and how they prove themselves.",
            vec![
                key(
                    "name",
                    json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" }),
                    "Its name in logs and metrics.",
                )
                .required(),
                key("path", json!({ "type": "string", "pattern": "^/" }), "Its path.").required().example("/flashduty"),
                key(
                    "auth",
                    json!({ "anyOf": [{ "const": "none" }, defined("auth")] }),
                    "How a push proves itself; `none` only on a loopback listener.",
                )
                .required(),
                key("allow_from", networks(), "Presets or networks that may connect.")
                    .default(json!(["flashduty", "loopback"])),
                key("trusted_proxies", networks(), "Peers whose X-Forwarded-For is believed.").default(json!([])),
            ],
        ),
    );
    schema.mapping(
        "auth",
        Mapping::new(
            &["`auth`"],
            "A secret in a header.",
            vec![
                key("header", defined("text"), "The header.").default("X-Stanch-Token"),
                key("secret", defined("secret"), "Where the secret is kept.").required(),
                key("previous", defined("secret"), "The one before it, while senders are changed over."),
            ],
        ),
    );
    schema.mapping(
        "tls",
        Mapping::new(
            &["`tls`"],
            "TLS of the webhook listener.",
            vec![
                key("cert", defined("text"), "The certificate chain, PEM.").required(),
                key("key", defined("text"), "The private key, PEM.").required(),
            ],
        ),
    );
    schema.mapping(
        "flashduty",
        Mapping::new(
            &["`flashduty`"],
            "The Open API.",
            vec![
                key("api", defined("text"), "The base URL.").default("https://api.flashcat.cloud"),
                key("app_key", defined("secret"), "Where the app key is kept.").required(),
                key("catch_up", flag(), "Ask at start for incidents opened while away.").default(true),
                key("report", super::rule::reporting(), "Whether each run, and each dry-run, leaves a comment.")
                    .default(true),
                key("run_link", defined("text"), "What stands before a run's id in the address of its page.")
                    .example("https://bastion.internal/runs/"),
            ],
        ),
    );
    schema.mapping(
        "ssh",
        Mapping::new(
            &["`ssh`"],
            "What steps of kind `ssh` use.",
            vec![key("config", defined("text"), "A config of the SSH client.").required().example("ssh_config")],
        ),
    );
    schema.mapping(
        "http",
        Mapping::new(
            &["`http`"],
            "What steps of kind `http` may reach.",
            vec![
                key("allow", list_or_empty(defined("text"), LIST_MAX), "Hosts with their ports.")
                    .example(json!(["inventory.internal:443"])),
            ],
        ),
    );
}

fn limits(schema: &mut Schema) {
    let limits: Vec<Key> = vec![
        key("body", size(), "Bytes of a push's body.").default("256KiB"),
        key("connections", whole(1, 100_000), "Open connections to the webhook listener.").default(1024),
        key("runs", whole(1, 1024), "Runs that act at the same time.").default(8),
        key("output", size(), "Bytes kept of one step's output, each of its two streams.").default("64KiB"),
        key("grace", defined("duration"), "What runs get to end when the daemon stops, at most 1h.").default("20s"),
        key("step", defined("step-limits"), "What each process of a step may have; no limit unless given.")
            .example(json!({ "files": 1024, "memory": "512MiB" })),
    ];
    schema.mapping(
        "step-limits",
        Mapping::new(
            &["`limits.step`"],
            "What each process of a step may have.",
            vec![
                key("files", whole(16, 1_048_576), "Open files."),
                key("processes", whole(16, 1_048_576), "Processes and threads of the account, all of them counted."),
                key("memory", size(), "Memory of its own."),
                key("file_size", size(), "The largest file that it may write."),
            ],
        ),
    );
    schema.mapping("limits", Mapping::new(&["`limits`"], "Limits on what is taken and done at once.", limits));
    schema.mapping(
        "budget",
        Mapping::new(
            &["the budget"],
            "A cap across rules.",
            vec![
                key("name", defined("text"), "Its name in reasons.").required(),
                key("rate", defined("rate"), "At most so many runs in a time.")
                    .example(json!({ "max": 200, "per": "1h" })),
                key("blast_radius", defined("blast-radius"), "At most so many targets in a time."),
            ],
        )
        .any_of(&["rate", "blast_radius"]),
    );
}
