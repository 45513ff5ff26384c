//! The environment of every process: nothing of the daemon's own, and `STANCH_*`.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::journal::record::RunId;
use crate::rule::RuleId;

use super::render::ARGUMENT_BYTES_MAX;

/// Where programs are found. Fixed, so that what a rule does cannot depend on who started the daemon.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What begins the variable of a label.
const LABEL: &str = "STANCH_LABEL_";

/// The environment of a process, and the names of the variables that had to be left out, in order.
///
/// Every `STANCH_*` variable is set; one that the event has nothing for is empty, so that a script under `sh -eu` that
/// asks for it does not die of asking. Left out are: two labels whose names become the same variable, since which of
/// them it would hold would be chance; a value with a NUL; one longer than the system takes. Of a label only text,
/// numbers and bools are values.
pub fn environment(
    event: &Event,
    target: &str,
    run: &RunId,
    rule: &RuleId,
    attempt: u32,
    home: &str,
) -> (BTreeMap<String, String>, Vec<String>) {
    let channel_id = event.channel_id().map(|id| id.to_string());
    let set = [
        ("PATH", PATH),
        ("LANG", "C.UTF-8"),
        ("HOME", home),
        ("STANCH_RULE", rule.as_str()),
        ("STANCH_RUN_ID", run.as_str()),
        ("STANCH_EVENT_ID", event.id.as_str()),
        ("STANCH_EVENT_TYPE", &event.event_type),
        ("STANCH_EVENT_TIME", &event.time.as_millis().to_string()),
        ("STANCH_INCIDENT_ID", event.incident_id.as_deref().unwrap_or_default()),
        ("STANCH_ALERT_ID", event.alert_id.as_deref().unwrap_or_default()),
        ("STANCH_TITLE", event.title().unwrap_or_default()),
        ("STANCH_SEVERITY", event.severity().unwrap_or_default()),
        ("STANCH_STATUS", event.status().unwrap_or_default()),
        ("STANCH_PROGRESS", event.progress().unwrap_or_default()),
        ("STANCH_CHANNEL_ID", channel_id.as_deref().unwrap_or_default()),
        ("STANCH_CHANNEL_NAME", event.channel_name().unwrap_or_default()),
        ("STANCH_TARGET", target),
        ("STANCH_DETAIL_URL", event.detail_url().unwrap_or_default()),
        ("STANCH_ATTEMPT", &attempt.to_string()),
    ];
    let mut variables: BTreeMap<String, String> =
        set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();

    let mut labels = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in event.labels().entries() {
        let value = match value.to_value() {
            serde_json::Value::String(text) => text,
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => value.to_string(),
            _ => continue,
        };
        labels.entry(label_variable(name)).or_default().push(value);
    }
    let mut left_out = Vec::new();
    for (name, values) in labels {
        match <[String; 1]>::try_from(values) {
            Ok([value]) => {
                variables.insert(name, value);
            }
            Err(_) => left_out.push(name),
        }
    }
    variables.retain(|name, value| {
        let fits = !value.contains('\0') && name.len() + 1 + value.len() < ARGUMENT_BYTES_MAX;
        if !fits {
            left_out.push(name.clone());
        }
        fits
    });
    left_out.sort();
    (variables, left_out)
}

/// The variable of a label: `k8s.io/app` → `STANCH_LABEL_K8S_IO_APP`.
fn label_variable(name: &str) -> String {
    let upper = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    LABEL.chars().chain(upper).collect()
}
