//! What rules say to what the journal holds.
//!
//! The journal's file is read beside whoever writes it, and the pure core is asked. The command line and the admin
//! interface ask here the same. Nothing is executed, and nothing is written. Everything here blocks its thread, under a
//! [`Budget`], so it belongs on a thread that nothing else waits for.

pub mod backtest;
pub mod explain;
mod fold;

pub use fold::Folded;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::journal::store::StoreError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It took too long, or nobody waits for it any more.
    #[error("reading the journal was cut off after {} s, at record {at}", after.as_secs())]
    Cut {
        /// After how long.
        after: Duration,
        /// The record that would have been next.
        at: u64,
    },
    /// There is too much to read.
    #[error("{records} records of the journal would have to be read, and {max} is the limit")]
    TooMuch {
        /// How many.
        records: u64,
        /// How many may be.
        max: u64,
    },
}

/// How much may be read, for how long, and for whom.
#[derive(Debug, Clone)]
pub struct Budget {
    watch: Stopwatch,
    within: Duration,
    records_max: u64,
    called_off: Arc<AtomicBool>,
}

/// Calls off what goes on under a budget when it is dropped: whoever waited is gone.
#[derive(Debug)]
pub struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Budget {
    /// No limit: for people who can interrupt it.
    pub fn unlimited() -> Self {
        Self::of(Duration::MAX, u64::MAX)
    }

    /// So much time from now on, and so many records.
    pub fn of(within: Duration, records_max: u64) -> Self {
        Self { watch: Stopwatch::start(), within, records_max, called_off: Arc::default() }
    }

    /// What calls it off when it is dropped.
    pub fn call_off(&self) -> CallOff {
        CallOff(Arc::clone(&self.called_off))
    }

    /// Whether whoever waited is gone.
    pub fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }

    /// Refuses so many records where they are too many.
    fn admit(&self, records: u64) -> Result<(), ReplayError> {
        if records > self.records_max {
            return Err(ReplayError::TooMuch { records, max: self.records_max });
        }
        Ok(())
    }

    /// Says whether the record `at` may still be gone over.
    fn check(&self, at: u64) -> Result<(), ReplayError> {
        let after = self.watch.elapsed();
        if after >= self.within || self.is_called_off() {
            return Err(ReplayError::Cut { after, at });
        }
        Ok(())
    }
}
