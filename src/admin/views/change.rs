//! What a stream tells.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::journal::record::Record;
use crate::journal::store::Stored;

/// Something that happened, as a stream tells it: a record of the journal, without what would make it large. Plans and
/// output are where the event or the run is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number in the journal.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

impl Change {
    /// What a stream tells of a record.
    pub fn of(stored: Stored) -> Self {
        let Stored { seq, at, mut record, .. } = stored;
        match &mut record {
            Record::Decided { decisions, .. } => decisions.iter_mut().for_each(|decided| decided.plan = None),
            Record::Rerun { decided, .. } => decided.plan = None,
            Record::RunIntended { plan, .. } => *plan = serde_json::Value::Null,
            Record::StepEnded { result, .. } => {
                result.stdout.clear();
                result.stderr.clear();
            }
            _ => {}
        }
        Self { seq, at, record }
    }
}
