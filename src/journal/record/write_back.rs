//! What is written back to Flashduty: the call, who asked for it, and what became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunId;
use crate::event::EventId;
use crate::rule::RuleId;

/// How long a comment may wait to be sent. It tells what happened, which is of use a day later too.
const COMMENT_LASTS: Duration = Duration::from_secs(86_400);
/// How long anything else may wait. It changes the state of an incident, which others change meanwhile: late, it would
/// close what a person has opened again.
const CHANGE_LASTS: Duration = Duration::from_secs(3_600);

/// The id of a write-back: derived from what asked for it, so that the same request is never queued twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteBackId(Arc<str>);

impl WriteBackId {
    /// The id of what `parts` together name.
    pub fn derive(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hex = hasher.finalize().to_hex();
        Self(format!("w-{}", hex.get(..16).unwrap_or_default()).into())
    }
}

impl fmt::Display for WriteBackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call of the Open API that changes an incident, with nothing left to render.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum WriteBackCall {
    /// Adds a comment.
    Comment {
        /// Its text, at most 1,024 characters.
        comment: String,
    },
    /// Acknowledges it.
    Ack,
    /// Closes it.
    Resolve {
        /// Why it came, at most 1,024 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root_cause: Option<String>,
        /// What helped, at most 1,024 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolution: Option<String>,
    },
    /// Silences it.
    Snooze {
        /// For how long, 1 to 1,440 minutes.
        minutes: u16,
    },
    /// Sets a custom field.
    Field {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// Opens it again.
    Reopen,
}

/// The words of all calls.
pub const WRITE_BACK_CALLS: [&str; 6] = ["comment", "ack", "resolve", "snooze", "field", "reopen"];

impl WriteBackCall {
    /// Its word in the rule language, in records and in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Comment { .. } => "comment",
            Self::Ack => "ack",
            Self::Resolve { .. } => "resolve",
            Self::Snooze { .. } => "snooze",
            Self::Field { .. } => "field",
            Self::Reopen => "reopen",
        }
    }

    /// Whether sending it again does no more than sending it once. A second comment is a second comment.
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Comment { .. })
    }

    /// How long it may wait to be sent.
    pub fn lasts(&self) -> Duration {
        if self.is_repeatable() { CHANGE_LASTS } else { COMMENT_LASTS }
    }
}

/// Something to be written back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteBack {
    /// Its id.
    pub id: WriteBackId,
    /// The incident.
    pub incident: Arc<str>,
    /// The event that led to it.
    pub event: EventId,
    /// The run that asked for it; none for what a dry-run says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The rule.
    pub rule: RuleId,
    /// What is to be done.
    pub call: WriteBackCall,
}

/// What one try of a write-back led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteBackOutcome {
    /// Flashduty has done it.
    Sent,
    /// Flashduty refused it for now, or gave no answer to what may be repeated; it is tried again.
    Again,
    /// Flashduty was not reached, so nothing was asked; it is tried again.
    Unreached,
    /// It is given up: refused for good, refused too often, or too old.
    Failed,
    /// It may have been done and it may not; it is not sent again.
    Unknown,
}

impl WriteBackOutcome {
    /// The word in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Again => "again",
            Self::Unreached => "unreached",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more comes of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Unknown)
    }
}
