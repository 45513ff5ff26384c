//! `match`.

use serde_json::{Value, json};

use super::build::{Key, Mapping, Schema, defined, flag, key, list, named, words};
use crate::event::EVENT_TYPES;
use crate::rule::yaml::values::LIST_MAX;

pub(super) fn add(schema: &mut Schema) {
    let mut top = keys();
    top.iter_mut().for_each(|key| {
        if matches!(key.name, "events" | "channels") {
            key.require();
        }
    });
    schema.mapping("match", Mapping::new(&["`match`"], "Which events the rule concerns. All keys must hold.", top));
    schema.mapping(
        "match-block",
        Mapping::new(&["a block of `any`", "`not`"], "A block of clauses, all of which must hold.", keys()),
    );
    schema.value("event-type", event_type());
    let text = json!({ "type": "string" });
    let number_or_text = json!({ "type": ["string", "number", "boolean"] });
    for (name, keyed, value) in
        [("matcher", "matcher-keys", text), ("field-matcher", "field-matcher-keys", number_or_text)]
    {
        let one = value.clone();
        schema.value(
            name,
            json!({
                "description": "A plain value is equality, a list is \"one of\". An absent field satisfies only `exists: false`.",
                "anyOf": [one, list(value.clone(), LIST_MAX), defined(keyed)],
            }),
        );
        let read_as: &'static [&'static str] = match name {
            "matcher" => &["`title`", "`description`", "`labels`"],
            _ => &["`fields`"],
        };
        schema.mapping(keyed, Mapping::new(read_as, "Tests on one field, all of which must hold.", tests(&value)));
    }
}

/// Known types with what each means, then anything: the vendor may add some at any time.
fn event_type() -> Value {
    let known = EVENT_TYPES.iter().map(|(name, meaning)| json!({ "const": name, "description": meaning }));
    let other =
        json!({ "type": "string", "pattern": "\\S", "description": "A glob, or a type that is not documented." });
    json!({ "anyOf": known.chain([other]).collect::<Vec<_>>() })
}

fn keys() -> Vec<Key> {
    let names = |known: &[&str]| list(words(known.iter().copied()), LIST_MAX);
    let person = json!({ "anyOf": [defined("text"), { "type": "integer" }] });
    vec![
        key("events", list(defined("event-type"), LIST_MAX), "Event types or globs; [\"*\"] is every type.")
            .example(json!(["i_new", "i_reopen"])),
        key(
            "channels",
            list(json!({ "anyOf": [defined("text"), { "type": "integer", "minimum": 1 }] }), LIST_MAX),
            "Channels by name, glob or id; [\"*\"] is every channel, and none.",
        )
        .example(json!(["Order System", 1_163_577_812_973_i64])),
        key("severities", names(&["Critical", "Warning", "Info"]), "The severity is one of these."),
        key("statuses", names(&["Critical", "Warning", "Info", "Ok"]), "The status is one of these."),
        key("progress", names(&["Triggered", "Processing", "Closed"]), "The progress is one of these."),
        key("sources", list(defined("text"), LIST_MAX), "Sources of the config that the push came by."),
        key(
            "person",
            json!({ "anyOf": [person, list(person.clone(), LIST_MAX)] }),
            "The e-mail or id of who acted; one of them.",
        )
        .example(json!(["oncall@example.org"])),
        key("title", defined("matcher"), "A test on the title.").example(json!({ "contains": "disk" })),
        key("description", defined("matcher"), "A test on the description."),
        key("labels", named(defined("matcher"), LIST_MAX), "Tests on labels, by name. Labels are text: quote numbers.")
            .example(json!({ "check": "disk full", "env": { "not": "dev", "exists": true } })),
        key("fields", named(defined("field-matcher"), LIST_MAX), "Tests on custom fields, by name."),
        key("any", list(defined("match-block"), 64), "One of these blocks must hold."),
        key("not", defined("match-block"), "This block must not hold."),
    ]
}

fn tests(value: &Value) -> Vec<Key> {
    let several = || list(value.clone(), LIST_MAX);
    vec![
        key("equals", value.clone(), "It is this."),
        key("not", value.clone(), "It is there, and is not this."),
        key("in", several(), "It is one of these."),
        key("not_in", several(), "It is there, and is none of these."),
        key("contains", defined("text"), "This is part of it."),
        key("prefix", defined("text"), "It begins so."),
        key("suffix", defined("text"), "It ends so."),
        key("glob", defined("text"), "The whole of it fits the glob.").example("db-*"),
        key("regex", defined("text"), "The linear-time regex matches in it, anchored only where written.")
            .example("^(db|web)-\\d+$"),
        key("exists", flag(), "It is there, or is not."),
    ]
}
