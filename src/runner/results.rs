//! What steps led to, as later conditions and templates see it.

use serde_json::{Map, Value, json};

use crate::journal::record::{StepEnd, StepResult};

/// The results of the steps that have a name, in order. Converted only when something asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    named: Vec<(String, StepResult)>,
}

impl Results {
    /// Notes what a step led to. Of two steps with one name the later counts.
    pub(super) fn note(&mut self, name: Option<&str>, result: &StepResult) {
        let Some(name) = name else { return };
        match self.named.iter_mut().find(|(known, _)| known == name) {
            Some((_, held)) => held.clone_from(result),
            None => self.named.push((name.to_owned(), result.clone())),
        }
    }

    /// `steps`: by name `ok`, `exit_code`, `status`, `stdout`, `stderr` and `json`. What a step did not yield is left
    /// out, so that naming it is an error.
    pub(super) fn to_json(&self) -> Value {
        Value::Object(self.named.iter().map(|(name, result)| (name.clone(), shown(result))).collect())
    }
}

fn shown(result: &StepResult) -> Value {
    let mut fields = Map::new();
    fields.insert("ok".into(), (result.end == StepEnd::Succeeded).into());
    fields.insert("stdout".into(), json!(result.stdout));
    fields.insert("stderr".into(), json!(result.stderr));
    if let Some(code) = result.exit_code {
        fields.insert("exit_code".into(), code.into());
    }
    if let Some(status) = result.status {
        fields.insert("status".into(), status.into());
    }
    // What was cut is not what the step said, even where it happens to parse.
    if result.dropped_bytes == 0
        && let Ok(value) = serde_json::from_str(&result.stdout)
    {
        fields.insert("json".into(), value);
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(stdout: &str, dropped_bytes: u64) -> StepResult {
        StepResult {
            end: StepEnd::Succeeded,
            exit_code: Some(0),
            signal: None,
            status: None,
            stdout: stdout.into(),
            stderr: String::new(),
            dropped_bytes,
            error: None,
            duration_ms: 1,
        }
    }

    #[test]
    fn results_are_seen_by_name() {
        let mut results = Results::default();
        results.note(None, &result("unseen", 0));
        results.note(Some("probe"), &result("old", 0));
        results.note(Some("probe"), &result("{\"free\": 12}", 0));
        let expected = json!({"probe": {
            "ok": true, "exit_code": 0, "stdout": "{\"free\": 12}", "stderr": "", "json": {"free": 12},
        }});
        assert_eq!(results.to_json(), expected);
    }

    #[test]
    fn cut_output_is_never_read_as_json() {
        let mut results = Results::default();
        results.note(Some("probe"), &result("12", 1));
        assert!(results.to_json()["probe"].get("json").is_none());
    }
}
