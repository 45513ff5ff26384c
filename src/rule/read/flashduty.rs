//! `flashduty`: calls that change the incident in Flashduty.

use std::time::Duration;

use super::{Reader, http, script};
use crate::rule::diagnostic::codes;
use crate::rule::step::{Action, FlashdutySpec, Step};
use crate::rule::template::TemplateKind;
use crate::rule::yaml::fields::{Fields, key_text};
use crate::rule::yaml::{Kind, Node};

/// The longest snooze that the vendor takes, in minutes.
const SNOOZE_MINUTES_MAX: u64 = 1_440;

/// Reads `flashduty`: its calls, in the order in which they are written.
pub(super) fn read(reader: &Reader<'_>, key: &Node, node: &Node) -> Option<Vec<FlashdutySpec>> {
    need(reader, key, "the step `flashduty`");
    let fields = Fields::open(reader.doc, node, "`flashduty`")?;
    let mut calls: Vec<(usize, FlashdutySpec)> = Vec::new();
    let mut note = |key: &Node, call: Option<FlashdutySpec>| {
        calls.extend(call.map(|call| (key.span.start, call)));
    };
    if let Some((key, node)) = fields.entry("comment") {
        let comment = script::template(reader, node, "`comment`", TemplateKind::Text);
        note(key, comment.map(FlashdutySpec::Comment));
    }
    if let Some((key, node)) = fields.entry("ack") {
        note(key, only_true(reader, node, "`ack`").then_some(FlashdutySpec::Ack));
    }
    if let Some((key, node)) = fields.entry("resolve") {
        note(key, resolve(reader, node));
    }
    if let Some((key, node)) = fields.entry("snooze") {
        note(key, snooze(reader, node).map(FlashdutySpec::Snooze));
    }
    if let Some((key, node)) = fields.entry("field") {
        note(key, field(reader, node));
    }
    if let Some((key, node)) = fields.entry("reopen") {
        note(key, only_true(reader, node, "`reopen`").then_some(FlashdutySpec::Reopen));
    }
    fields.close();
    calls.sort_by_key(|(at, _)| *at);
    (!calls.is_empty()).then(|| calls.into_iter().map(|(_, call)| call).collect())
}

/// Reports that the config says nothing of Flashduty, where it does not.
pub(super) fn need(reader: &Reader<'_>, key: &Node, what: &str) {
    if reader.cx.config.flashduty.is_none() {
        reader.doc.error_hint(
            codes::FLASHDUTY_MISSING,
            key.span.clone(),
            format!("{what} needs the Open API, and the config has no `flashduty` section"),
            "add it to the config: `flashduty: { app_key: { env: FLASHDUTY_APP_KEY } }`",
        );
    }
}

/// Reports the steps of `verify` that check nothing.
pub(super) fn refuse_in_verify(reader: &Reader<'_>, node: &Node, steps: &[std::sync::Arc<Step>]) {
    if steps.iter().any(|step| matches!(step.action, Action::Flashduty(_))) {
        let message = "`verify` has a `flashduty` step, which checks nothing and would be repeated with each try";
        let hint = "move it to `steps` or `on_success`";
        reader.doc.error_hint(codes::INVALID_VALUE, node.head(), message, hint);
    }
}

fn only_true(reader: &Reader<'_>, node: &Node, what: &str) -> bool {
    match reader.doc.boolean(node, what) {
        Some(false) => {
            let message = format!("{what} is `true`, or is left out");
            reader.doc.error(codes::INVALID_VALUE, node.span.clone(), message);
            false
        }
        Some(true) => true,
        None => false,
    }
}

fn resolve(reader: &Reader<'_>, node: &Node) -> Option<FlashdutySpec> {
    if matches!(node.kind, Kind::Bool(_)) {
        let plain = FlashdutySpec::Resolve { root_cause: None, resolution: None };
        return only_true(reader, node, "`resolve`").then_some(plain);
    }
    let fields = Fields::open(reader.doc, node, "`resolve`")?;
    let text = |name, what| match fields.get(name) {
        None => Some(None),
        Some(node) => script::template(reader, node, what, TemplateKind::Text).map(Some),
    };
    let (root_cause, resolution) = (text("root_cause", "`root_cause`"), text("resolution", "`resolution`"));
    fields.close();
    Some(FlashdutySpec::Resolve { root_cause: root_cause?, resolution: resolution? })
}

fn snooze(reader: &Reader<'_>, node: &Node) -> Option<u16> {
    let duration: Duration = reader.doc.duration(node, "`snooze`")?;
    let minutes = duration.as_secs() / 60;
    let is_whole = Duration::from_secs(minutes * 60) == duration;
    if is_whole && (1..=SNOOZE_MINUTES_MAX).contains(&minutes) {
        return u16::try_from(minutes).ok();
    }
    let message = "`snooze` is a whole number of minutes, from 1m to 1d";
    reader.doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, "write it as `30m`");
    None
}

fn field(reader: &Reader<'_>, node: &Node) -> Option<FlashdutySpec> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`field`")?;
    let name_node = fields.require("name", "say which custom field: `name: auto_healed`");
    let name = name_node.and_then(|node| doc.text(node, "`name`"));
    if let (Some(node), Some(name)) = (name_node, name) {
        reader.refuse_unless_authored(node, name, "the name of a field");
    }
    if let (Some(node), Some(name)) = (name_node, name)
        && name.contains("{{")
    {
        doc.error(codes::TEMPLATE_NOT_LITERAL, node.span.clone(), "the name of a field must be literal");
    }
    let value = fields.require("value", "say what it becomes: `value: \"yes\"`").and_then(|node| match &node.kind {
        Kind::Map(entries) => {
            let at = entries.first().and_then(|(key, _)| key_text(key)).unwrap_or_default();
            let message = format!("a field has a text, number, bool or list, not a mapping (`{at}: …`)");
            doc.error(codes::WRONG_TYPE, node.head(), message);
            None
        }
        _ => http::json(reader, node),
    });
    fields.close();
    Some(FlashdutySpec::Field { name: name?.to_owned(), value: value? })
}
