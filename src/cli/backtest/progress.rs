//! How far a backtest is, for people who wait at a terminal.

use std::io::IsTerminal as _;

/// Shows it on standard error, where that is a terminal.
pub(super) struct Progress {
    shown: Option<u64>,
    is_terminal: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { shown: None, is_terminal: std::io::stderr().is_terminal() }
    }
}

impl Progress {
    /// It has read up to the record `at`, of those from `from` to `to`.
    pub(super) fn at(&mut self, from: u64, at: u64, to: u64) {
        let percent = (at.saturating_sub(from) + 1) * 100 / (to.saturating_sub(from) + 1);
        if self.is_terminal && self.shown != Some(percent) {
            anstream::eprint!("\r{percent:3} % of the journal");
            self.shown = Some(percent);
        }
    }

    /// Takes it away again.
    pub(super) fn done(&self) {
        if self.shown.is_some() {
            anstream::eprint!("\r\u{1b}[K");
        }
    }
}
