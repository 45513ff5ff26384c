//! Steps: where they stand, and what a try of one led to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which part of a rule a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// `steps`.
    Steps,
    /// `verify.steps`.
    Verify,
    /// `on_success`.
    OnSuccess,
    /// `on_failure`.
    OnFailure,
}

/// How one try of a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// It passed.
    Succeeded,
    /// It did not.
    Failed,
    /// It was ended at its time limit.
    TimedOut,
    /// It was ended because the run was cancelled or the daemon stops.
    Cancelled,
    /// Its `if:` was false.
    Skipped,
}

/// What one try of a step led to. Texts are redacted and bounded before they come here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// How it ended.
    pub end: StepEnd,
    /// The exit code of a process that exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The status of an HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Standard output, or the body of an HTTP answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// How many bytes of output were left out.
    #[serde(default)]
    pub dropped_bytes: u64,
    /// Why it failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A step inside an `each`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EachPlace {
    /// The item that it is done for.
    pub item: String,
    /// Which step of the `each`, from 0.
    pub step: usize,
}
