//! The history as it was just before a record.

use super::{Budget, ReplayError};
use crate::journal::history::History;
use crate::journal::read::Reader;

/// The fold of all records before one.
#[derive(Debug, Clone)]
pub struct Folded {
    /// What is folded stands before this number.
    before: u64,
    /// Whether annotating events order as well.
    strict: bool,
    /// The fold.
    pub history: History,
}

impl Folded {
    /// Folds all records before `before`. Goes on from `known` where that is a fold of the same kind and of no more.
    ///
    /// # Errors
    /// When the journal cannot be read, or the budget is spent.
    pub fn up_to(
        reader: &Reader,
        before: u64,
        strict: bool,
        known: Option<&Self>,
        budget: &Budget,
    ) -> Result<Self, ReplayError> {
        let begin = known.filter(|known| known.strict == strict && known.before <= before);
        let mut folded = begin.cloned().unwrap_or_else(|| {
            let mut history = History::default();
            history.newest.set_strict(strict);
            Self { before: 0, strict, history }
        });
        let mut within = Ok(());
        reader.scan(folded.before, |stored| {
            if stored.seq >= before {
                return false;
            }
            within = budget.check(stored.seq);
            if within.is_ok() {
                folded.history.apply(stored.seq, stored.at, &stored.record);
            }
            within.is_ok()
        })?;
        within?;
        folded.before = before;
        Ok(folded)
    }
}
