//! `flashduty` steps: rendered, and as a plan shows them.

use serde_json::{Map, Value, json};

use super::json::source;
use super::render::{json as json_of, render as text_of};
use super::{FlashdutyCall, PlanError};
use crate::journal::record::WriteBackCall;
use crate::report::comment::cut;
use crate::rule::duration;
use crate::rule::step::FlashdutySpec;
use crate::rule::template::{Template, TemplateNames};

/// There is nothing to change.
pub(super) fn no_incident() -> PlanError {
    PlanError::new("flashduty", "the event belongs to no incident, so there is none to change")
}

/// What `specs` do to the incident of the event.
///
/// # Errors
/// Where there is no incident, a text cannot be rendered, or a comment would be empty.
pub(super) fn render(specs: &[FlashdutySpec], names: &TemplateNames<'_>) -> Result<FlashdutyCall, PlanError> {
    let incident = names.view.event().incident_id.clone();
    let incident = incident.ok_or_else(no_incident)?;
    let calls = specs.iter().map(|spec| write_back(spec, names));
    Ok(FlashdutyCall { incident, calls: calls.collect::<Result<_, _>>()? })
}

fn write_back(spec: &FlashdutySpec, names: &TemplateNames<'_>) -> Result<WriteBackCall, PlanError> {
    let text = |template: &Option<Template>, field: &'static str| {
        template.as_ref().map(|template| text_of(template, names, || field.into()).map(|text| cut(&text))).transpose()
    };
    Ok(match spec {
        FlashdutySpec::Comment(comment) => {
            let comment = text_of(comment, names, || "flashduty.comment".into())?;
            if comment.trim().is_empty() {
                return Err(PlanError::new("flashduty.comment", "it is empty"));
            }
            WriteBackCall::Comment { comment: cut(&comment) }
        }
        FlashdutySpec::Ack => WriteBackCall::Ack,
        FlashdutySpec::Resolve { root_cause, resolution } => WriteBackCall::Resolve {
            root_cause: text(root_cause, "flashduty.resolve.root_cause")?,
            resolution: text(resolution, "flashduty.resolve.resolution")?,
        },
        FlashdutySpec::Snooze(minutes) => WriteBackCall::Snooze { minutes: *minutes },
        FlashdutySpec::Field { name, value } => {
            WriteBackCall::Field { name: name.clone(), value: json_of(value, names, "flashduty.field.value")? }
        }
        FlashdutySpec::Reopen => WriteBackCall::Reopen,
    })
}

/// A step with its values filled in, in the shape of the rule language.
pub(super) fn shown(step: &FlashdutyCall) -> Value {
    Value::Object(step.calls.iter().map(call_shown).collect())
}

/// A step with its templates as written.
pub(super) fn shown_unrendered(specs: &[FlashdutySpec]) -> Value {
    Value::Object(specs.iter().map(spec_shown).collect())
}

/// A call as the rule language writes it.
fn call_shown(call: &WriteBackCall) -> (String, Value) {
    let value = match call {
        WriteBackCall::Comment { comment } => json!(comment),
        WriteBackCall::Ack | WriteBackCall::Reopen => true.into(),
        WriteBackCall::Resolve { root_cause, resolution } => {
            resolution_of(root_cause.as_deref(), resolution.as_deref())
        }
        WriteBackCall::Snooze { minutes } => snooze(*minutes),
        WriteBackCall::Field { name, value } => json!({ "name": name, "value": value }),
    };
    (call.name().to_owned(), value)
}

fn spec_shown(spec: &FlashdutySpec) -> (String, Value) {
    let value = match spec {
        FlashdutySpec::Comment(comment) => comment.source().into(),
        FlashdutySpec::Ack | FlashdutySpec::Reopen => true.into(),
        FlashdutySpec::Resolve { root_cause, resolution } => {
            let texts = [root_cause, resolution].map(|text| text.as_ref().map(Template::source));
            resolution_of(texts[0], texts[1])
        }
        FlashdutySpec::Snooze(minutes) => snooze(*minutes),
        FlashdutySpec::Field { name, value } => json!({ "name": name, "value": source(value) }),
    };
    (spec.name().to_owned(), value)
}

fn resolution_of(root_cause: Option<&str>, resolution: Option<&str>) -> Value {
    let texts = [("root_cause", root_cause), ("resolution", resolution)];
    let written: Map<String, Value> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
    if written.is_empty() { true.into() } else { Value::Object(written) }
}

fn snooze(minutes: u16) -> Value {
    duration::show(std::time::Duration::from_secs(u64::from(minutes) * 60)).into()
}
