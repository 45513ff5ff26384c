//! What was written back to Flashduty, and what still has to be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::journal::record::{Record, WriteBackCall};
use crate::journal::store::Stored;

/// A call that changes an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WriteBackView {
    /// Its id.
    pub id: String,
    /// The incident.
    pub incident: String,
    /// The rule that asked for it.
    pub rule: String,
    /// `comment`, `ack`, `resolve`, `snooze`, `field` or `reopen`.
    pub call: String,
    /// The comment, where it is one.
    pub comment: Option<String>,
    /// `queued`, or what the last try led to: `sent`, `again`, `unreached`, `failed`, `unknown`.
    pub outcome: String,
    /// Since when that is so.
    pub since: Timestamp,
    /// How many tries were made.
    pub attempts: u32,
    /// Flashduty's id of the last request.
    pub request_id: Option<String>,
    /// Why it was not done.
    pub error: Option<String>,
}

impl WriteBackView {
    /// The write-backs that records tell of, in the order in which they were queued.
    pub fn of(records: &[Stored]) -> Vec<Self> {
        let mut views: Vec<Self> = Vec::new();
        for stored in records {
            match &stored.record {
                Record::WriteBackQueued { write_back } => views.push(Self {
                    id: write_back.id.to_string(),
                    incident: write_back.incident.to_string(),
                    rule: write_back.rule.to_string(),
                    call: write_back.call.name().into(),
                    comment: match &write_back.call {
                        WriteBackCall::Comment { comment } => Some(comment.clone()),
                        _ => None,
                    },
                    outcome: "queued".into(),
                    since: stored.at,
                    attempts: 0,
                    request_id: None,
                    error: None,
                }),
                Record::WrittenBack { id, attempt, outcome, request_id, error, .. } => {
                    let id = id.to_string();
                    if let Some(view) = views.iter_mut().find(|view| view.id == id) {
                        view.outcome = outcome.name().into();
                        view.since = stored.at;
                        view.attempts = *attempt;
                        view.request_id.clone_from(request_id);
                        view.error.clone_from(error);
                    }
                }
                _ => {}
            }
        }
        views
    }
}
