//! What is wrong with config, rules and scripts as they are on disk, without putting them into force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::table::Call;
use crate::engine::Handle;
use crate::rule::diagnostic::{Format, Severity, render};
use crate::rule::load::load;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Whether a reload would take it.
    pub usable: bool,
    /// How many rules there are.
    pub rules: usize,
    /// How many tests stand beside them.
    pub tests: usize,
    /// Every problem, as `stanch check --format json` prints it.
    pub diagnostics: Vec<Value>,
}

pub(in crate::admin) async fn check(call: Call) -> Response {
    answer(check_of(&call.desk.handle).await)
}

/// Reads all of it again, and looks for what is wrong.
pub(in crate::admin) async fn check_of(handle: &Handle) -> Result<Checked, ApiError> {
    let file = handle.config().file.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let (config, warnings) = match crate::config::load::load(&file) {
            Ok(loaded) => (loaded.config, list(&render(Format::Json, &loaded.warnings, &loaded.sources))),
            Err(invalid) => {
                let diagnostics = list(&render(Format::Json, &invalid.diagnostics, &invalid.sources));
                return Checked { usable: false, rules: 0, tests: 0, diagnostics };
            }
        };
        let loaded = load(&config, 1);
        let unreadable: Vec<Value> =
            config.secrets().into_iter().filter_map(|secret| secret.resolve().err()).map(problem).collect();
        let mut diagnostics = list(&render(Format::Json, &loaded.diagnostics, &loaded.sources));
        diagnostics.extend(warnings);
        let usable = loaded.set.is_some() && unreadable.is_empty();
        diagnostics.extend(unreadable);
        Checked { usable, rules: loaded.summary.rules, tests: loaded.summary.tests, diagnostics }
    });
    checked.await.map_err(|error| ApiError::Failed(format!("the check ended early: {error}")))
}

fn list(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// A secret that cannot be used stands in no file that a diagnostic could point into.
fn problem(error: crate::config::secret::SecretError) -> Value {
    serde_json::json!({ "code": "secret", "severity": Severity::Error.name(), "message": error.to_string() })
}
