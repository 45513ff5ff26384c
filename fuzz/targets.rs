//! What each fuzz target does with its input. libFuzzer calls these without end, `make test` with the seeds and a
//! fixed number of changed ones.
//!
//! A target finds a panic, an endless loop, or a promise that does not hold; what is refused is refused.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use stanch::clock::Timestamp;
use stanch::config::Config;
use stanch::event::{self, Event};
use stanch::rule::diagnostic::{Format, render};
use stanch::rule::load::load_paths;
use stanch::rule::sandbox::{Extra, Sandbox};
use stanch::rule::template::{Template, TemplateKind, TemplateNames};
use stanch::rule::view::EventView;

/// A target by its name.
pub(crate) type Target = fn(&[u8]);

/// Every target, with the name of its folder of seeds.
pub(crate) const TARGETS: &[(&str, Target)] =
    &[("body", body), ("rules", rules), ("template", template), ("condition", condition)];

const NOW: Timestamp = Timestamp::from_millis(1_772_625_600_000);

/// The reader of push bodies: takes nothing that is not JSON, and loses nothing of what it takes.
pub(crate) fn body(data: &[u8]) {
    let Ok(read) = event::payload(data) else { return };
    let plain: Value =
        serde_json::from_slice(data).unwrap_or_else(|error| panic!("it is not JSON, and was read: {error}"));
    assert!(is_same(&read, &plain), "read as {read}, and it is {plain}");
    if let Ok(event) = event::read(data.to_vec().into(), "fuzz".into(), NOW) {
        assert!(!event.id.as_str().is_empty() && event.id.as_str().chars().count() <= 128);
        assert!(!event.id.as_str().contains(char::is_control));
        let view = EventView::new(&event);
        assert!(view.names().contains_key("labels"));
        assert_eq!(event::read(event.body.clone(), "fuzz".into(), NOW).as_ref(), Ok(&event));
    }
}

/// Whether two readers agree. An integer beyond 64 bits is text for ours, and a float for serde_json.
fn is_same(ours: &Value, plain: &Value) -> bool {
    match (ours, plain) {
        (Value::Array(ours), Value::Array(plain)) => {
            ours.len() == plain.len() && ours.iter().zip(plain).all(|(ours, plain)| is_same(ours, plain))
        }
        (Value::Object(ours), Value::Object(plain)) => {
            ours.len() == plain.len()
                && ours.iter().all(|(key, ours)| plain.get(key).is_some_and(|plain| is_same(ours, plain)))
        }
        (Value::String(digits), Value::Number(number)) => number.as_f64().is_some_and(|float| is_close(digits, float)),
        // `-0` is an integer for the one and a float for the other.
        (Value::Number(ours), Value::Number(plain)) => ours == plain || ours.as_f64() == plain.as_f64(),
        _ => ours == plain,
    }
}

/// Whether digits are a float, which serde_json reads a little less exactly than the standard library does.
fn is_close(digits: &str, float: f64) -> bool {
    digits.parse::<f64>().is_ok_and(|exact| (exact - float).abs() <= exact.abs() * 1e-14)
}

/// Where rule files are read from.
fn folder() -> &'static (tempfile::TempDir, Config) {
    static FOLDER: OnceLock<(tempfile::TempDir, Config)> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stanch.yaml");
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(&file, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
        let config = stanch::config::load::load(&file).unwrap_or_else(|_| panic!("a valid config")).config;
        (folder, config)
    })
}

/// The reader of rule files: every diagnostic can be shown, and a file without an error gives rules.
pub(crate) fn rules(data: &[u8]) {
    let (folder, config) = folder();
    let path: PathBuf = folder.path().join(format!("rules/{:?}.yaml", std::thread::current().id()));
    std::fs::write(&path, data).unwrap();
    let loaded = load_paths(config, std::slice::from_ref(&path));
    for format in [Format::Human { colour: false }, Format::Json, Format::Github] {
        let text = render(format, &loaded.diagnostics, &loaded.sources);
        assert_eq!(text.is_empty(), loaded.diagnostics.is_empty() && format != Format::Json, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    assert_eq!(loaded.set.is_some(), !loaded.has_errors(), "{:?}", loaded.diagnostics);
}

/// What templates and conditions read.
fn event() -> &'static Event {
    static EVENT: OnceLock<Event> = OnceLock::new();
    EVENT.get_or_init(|| {
        let push = json!({
            "event_id": "e1", "event_time": NOW.as_millis(), "event_type": "i_new",
            "incident": {
                "incident_id": "6621b23f4a2c5e0012ab34cd", "title": "disk full", "alert_cnt": 3, "num": -1,
                "labels": { "resource": "db-07", "a/b.c": "x", "empty": "", "brace": "{{ labels.resource }}" },
                "fields": { "list": ["a", "b"], "map": { "n": 1.5 }, "yes": true, "none": null },
            },
        });
        event::read(push.to_string().into(), "fuzz".into(), NOW).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Templates: what parses either renders or says why, and what the event holds is never parsed again.
pub(crate) fn template(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let kind = if kind % 2 == 0 { TemplateKind::Text } else { TemplateKind::Url };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parsed = match Template::parse(text, kind) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{error:?}");
            return;
        }
    };
    assert_eq!(parsed.source(), text);
    let view = EventView::new(event());
    let names = TemplateNames { view: &view, target: Some("db-07"), now: NOW, names: &[] };
    let rendered = parsed.render(&names);
    if parsed.is_literal() {
        assert_eq!(rendered.as_deref(), Ok(text));
    }
    assert_eq!(rendered, parsed.render(&names), "it renders to two texts");
}

/// Conditions: what compiles ends, within its limits, and the same each time.
pub(crate) fn condition(data: &[u8]) {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(&[]).unwrap_or_else(|error| panic!("{error:?}")));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(compiled) = sandbox.compile(text) else { return };
    assert_eq!(compiled.source(), text);
    let view = EventView::new(event());
    let before = view.names().clone();
    let extra = Extra { target: Some("db-07"), now: NOW, names: &[] };
    let first = compiled.holds(sandbox, &view, extra);
    let second = compiled.holds(sandbox, &view, extra);
    // One that was ended by the clock may come further the next time.
    if let (Ok(first), Ok(second)) = (first, second) {
        assert_eq!(first, second, "it gives two answers");
    }
    assert_eq!(*view.names(), before, "it changed the event");
}
