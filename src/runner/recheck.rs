//! `recheck: incident`: just before acting, Flashduty is asked whether the incident is still open.
//!
//! Asked last, after everything that could be decided without the network, and also of a run that waited. No answer
//! means no: a rule that asks for this would rather not act than act on something that is over.

use std::time::Duration;

use serde_json::Value;

use super::walk::Walk;
use crate::journal::RecordSink;

/// How long the answer may take, repetitions included. The run holds its locks meanwhile.
const RECHECK_WITHIN: Duration = Duration::from_secs(15);

impl<S: RecordSink> Walk<S> {
    /// What speaks against acting, if the rule wants that asked.
    pub(super) async fn recheck(&self) -> Option<String> {
        if !self.intent.rule.guards.recheck {
            return None;
        }
        let settings = self.shared.settings.load_full();
        let Some(client) = &settings.flashduty else {
            return Some("recheck objects: the config has no `flashduty` section, so nobody can be asked".into());
        };
        let Some(incident) = &self.intent.event.incident_id else {
            return Some("recheck objects: the event belongs to no incident".into());
        };
        let asked = tokio::select! {
            biased;
            reason = self.stop.stopped() => return Some(reason.to_string()),
            asked = tokio::time::timeout(RECHECK_WITHIN, client.info(incident)) => asked,
        };
        let objection = match asked {
            Ok(Ok(info)) => objection(&info)?,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Flashduty did not answer within {} s", RECHECK_WITHIN.as_secs()),
        };
        Some(format!("recheck objects: incident {incident}: {objection}"))
    }
}

/// What the incident's state has against acting on it.
fn objection(info: &Value) -> Option<String> {
    match info.get("progress").and_then(Value::as_str) {
        Some("Triggered" | "Processing") => None,
        Some("Closed") => Some("it is closed in Flashduty".into()),
        Some(other) => Some(format!("Flashduty says that its progress is {other:?}, which is not known to be open")),
        None => Some("the answer of Flashduty does not say whether it is open".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_known_to_be_open_may_be_acted_on() {
        for (info, may_act) in [
            (json!({ "progress": "Triggered" }), true),
            (json!({ "progress": "Processing" }), true),
            (json!({ "progress": "Closed" }), false),
            (json!({ "progress": "Archived" }), false),
            (json!({ "progress": 1 }), false),
            (json!({}), false),
            (json!(null), false),
        ] {
            assert_eq!(objection(&info).is_none(), may_act, "{info}");
        }
    }
}
