//! One rule.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::super::template::TemplateKind;
use super::super::{LatePolicy, Mode, Reporting, Rule, RuleId, Verify};
use super::{
    Found, Reader, STEPS_MAX, Scope, dedupe, flashduty, guards, matching, mode, reporting, scope, script, step,
    steps_from,
};
use crate::rule::diagnostic::codes;
use crate::rule::step::Step;
use crate::rule::yaml::fields::{Fields, key_text};
use crate::rule::yaml::{Kind, Node};

/// How long `verify` waits between two tries unless it says otherwise.
const VERIFY_EVERY: std::time::Duration = std::time::Duration::from_secs(15);

/// The keys of a rule that say who and what it is for, and nothing of what it does.
const OF_PEOPLE: &[&str] = &["id", "description", "owner"];

/// Reads a rule.
pub(super) fn rule(reader: &Reader<'_>, node: &Node) -> Option<Found> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "the rule")?;
    let id_node = fields.require("id", "every rule needs an `id`, unique in the rule set");
    let id = id_node.and_then(|node| rule_id(reader, node));
    let description = reader.free_text(&fields, "description");
    let owner = reader.free_text(&fields, "owner");
    let mode = fields.get("mode").and_then(|node| mode(doc, node)).unwrap_or(Mode::Auto);
    let matching = fields
        .require("match", "say which events it concerns: `match: { events: [i_new], channels: [\"*\"] }`")
        .map(|node| matching::top(reader, node))
        .unwrap_or_default();
    let when_node = fields.get("when");
    let when = when_node.and_then(|node| script::condition(reader, node, "`when`"));
    if let (Some(node), Some(when)) = (when_node, &when) {
        script::warn_of_constant(reader, node, when);
    }
    let target_node = fields.get("target");
    let target = target_node.and_then(|node| script::template(reader, node, "`target`", TemplateKind::Text));
    let has_target = target_node.is_some();
    let dedupe = dedupe::read(reader, fields.get("dedupe"), &matching, has_target);
    let late = fields
        .get("late")
        .and_then(|node| doc.choice(node, "`late`", &[("ignore", LatePolicy::Ignore), ("newest", LatePolicy::Newest)]))
        .unwrap_or_default();
    let guards = fields.get("guards").map(|node| guards::read(reader, node, has_target)).unwrap_or_default();
    let acting = Reader { scope: Scope { each: true, ..reader.scope }, ..*reader };
    let steps_from = fields.entry("steps_from");
    let steps = if let (Some((key, _)), true) = (steps_from, fields.has("steps")) {
        let hint = "a function that returns the steps returns all of them";
        doc.error_hint(codes::INVALID_VALUE, key.span.clone(), "a rule has either `steps` or `steps_from`", hint);
        fields.get("steps").map(|node| steps(&acting, node, "`steps`")).unwrap_or_default()
    } else if fields.has("steps_from") {
        Vec::new()
    } else {
        fields
            .require("steps", "say what it does: `steps: [ { run: [./scripts/heal.sh] } ]`")
            .map(|node| steps(&acting, node, "`steps`"))
            .unwrap_or_default()
    };
    let steps_from = steps_from.and_then(|(_, node)| steps_from::read(reader, node));
    let mut ran = scope::names(&steps);
    let behind = Scope { returned: fields.has("steps_from"), ..reader.scope };
    let after = Reader { scope: Scope { steps: Some(&ran), ..behind }, ..*reader };
    let verify = fields.get("verify").and_then(|node| verify(&after, node));
    ran.extend(verify.iter().flat_map(|verify| scope::names(&verify.steps)));
    let after = Reader { scope: Scope { steps: Some(&ran), ..behind }, ..*reader };
    let on_success = fields.get("on_success").map(|node| steps_after(&after, node, "`on_success`")).unwrap_or_default();
    let on_failure = fields.get("on_failure").map(|node| steps_after(&after, node, "`on_failure`")).unwrap_or_default();
    let report = report(reader, &fields);
    fields.close();

    let id_node = id_node?;
    let rule = Rule {
        id: id?,
        description,
        owner,
        mode,
        matching,
        when,
        target,
        dedupe,
        late,
        guards,
        steps,
        steps_from,
        verify,
        on_success,
        on_failure,
        report,
        place: doc.place(node.head().start),
    };
    Some(Found { rule, id: id_node.span.clone(), print: print(node) })
}

/// A digest of what a rule does and when.
fn print(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Kind::Map(entries) = &node.kind {
        digest(
            entries.iter().filter(|(key, _)| key_text(key).is_none_or(|key| !OF_PEOPLE.contains(&key))),
            &mut hasher,
        );
    }
    hasher.finish()
}

/// Mappings are the same whatever the order of their keys.
fn digest<'n>(entries: impl Iterator<Item = &'n (Node, Node)>, hasher: &mut DefaultHasher) {
    let mut each: Vec<u64> = entries
        .map(|(key, value)| {
            let mut hasher = DefaultHasher::new();
            key_text(key).hash(&mut hasher);
            digest_value(value, &mut hasher);
            hasher.finish()
        })
        .collect();
    each.sort_unstable();
    each.hash(hasher);
}

fn digest_value(node: &Node, hasher: &mut DefaultHasher) {
    std::mem::discriminant(&node.kind).hash(hasher);
    match &node.kind {
        Kind::Null => {}
        Kind::Bool(value) => value.hash(hasher),
        Kind::Int(value) => value.hash(hasher),
        Kind::Float(value) => value.to_bits().hash(hasher),
        Kind::Text { text, .. } | Kind::Ambiguous { text, .. } => text.hash(hasher),
        Kind::List(items) => items.iter().for_each(|item| digest_value(item, hasher)),
        Kind::Map(entries) => digest(entries.iter(), hasher),
    }
}

/// `report`; as the config says where it is not written.
fn report(reader: &Reader<'_>, fields: &Fields<'_>) -> Reporting {
    let default = reader.cx.config.flashduty.as_ref().map_or(Reporting::Off, |flashduty| flashduty.report);
    let Some((key, node)) = fields.entry("report") else { return default };
    let report = reporting(reader.doc, node).unwrap_or(default);
    if report != Reporting::Off {
        flashduty::need(reader, key, "`report`");
    }
    report
}

fn rule_id(reader: &Reader<'_>, node: &Node) -> Option<RuleId> {
    let text = reader.doc.text(node, "`id`")?;
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts && text.len() <= 64 && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some(RuleId::new(text));
    }
    reader.doc.error_hint(
        codes::RULE_ID,
        node.span.clone(),
        format!("`{text}` is not a rule id"),
        "an id has 1 to 64 of the characters a-z, 0-9 and `-`, and does not begin with `-`",
    );
    None
}

/// A list of steps that must not be empty. Each sees those before it.
pub(super) fn steps(reader: &Reader<'_>, node: &Node, what: &str) -> Vec<Arc<Step>> {
    let list = reader.doc.list(node, what, STEPS_MAX).unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    let mut ran = reader.scope.steps.unwrap_or_default().to_vec();
    let mut steps: Vec<Arc<Step>> = Vec::with_capacity(list.len());
    for node in list {
        let name = step::name_node(node);
        if let Some((name, at)) = name {
            if names.contains(&name) {
                reader.doc.error_hint(
                    codes::DUPLICATE_NAME,
                    at.span.clone(),
                    format!("{what} has two steps named `{name}`"),
                    "later steps know it by its name: give it another",
                );
            }
            names.push(name);
        }
        let reader = Reader { scope: Scope { steps: Some(&ran), ..reader.scope }, ..*reader };
        steps.extend(step::read(&reader, node).map(Arc::new));
        ran.extend(name.map(|(name, _)| name.to_owned()));
    }
    steps
}

/// `on_success` and `on_failure`; these may be written and empty.
fn steps_after(reader: &Reader<'_>, node: &Node, what: &str) -> Vec<Arc<Step>> {
    match &node.kind {
        Kind::List(items) if items.is_empty() => Vec::new(),
        _ => steps(reader, node, what),
    }
}

fn verify(reader: &Reader<'_>, node: &Node) -> Option<Verify> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`verify`")?;
    let within = fields
        .require("within", "say how long the check may take to hold: `within: 5m`")
        .and_then(|node| doc.duration(node, "`within`"));
    let every_node = fields.get("every");
    let every = every_node.and_then(|node| doc.duration(node, "`every`"));
    let steps = fields
        .require("steps", "say what must pass: `steps: [ { run: [./scripts/is-healthy.sh] } ]`")
        .map(|node| {
            let steps = steps(reader, node, "`verify.steps`");
            flashduty::refuse_in_verify(reader, node, &steps);
            steps
        })
        .unwrap_or_default();
    fields.close();
    let within = within?;
    if let (Some(node), Some(every)) = (every_node, every)
        && every > within
    {
        doc.error(codes::INVALID_VALUE, node.span.clone(), "`every` must not be longer than `within`");
    }
    Some(Verify { within, every: every.unwrap_or(VERIFY_EVERY.min(within)), steps })
}
