//! What a step prints, to be looked at while it runs.
//!
//! A step that runs a process lends out what is kept of its output for the journal anyway, so looking costs nothing
//! until somebody does, and when the step has ended there is nothing left to look at. Secrets are taken out as they are
//! for the journal; the beginning of what could become one is held back until it is known not to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::process::Capture;
use crate::report::redact::Redactor;

/// How many bytes of each stream are shown of a step that runs, from its end: a screen full.
pub const TAIL_BYTES_MAX: usize = 8 * 1024;

/// Where a step shows what it prints. Empty before it starts and after it has ended.
#[derive(Debug, Default)]
pub struct Live(ArcSwapOption<Output>);

/// The end of what a step has printed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
    /// How many bytes it has printed on both, shown or not.
    pub printed_bytes: u64,
}

impl Live {
    /// The end of what was printed so far, without secrets; nothing where no process runs.
    pub fn tail(&self) -> Option<Tail> {
        let output = self.0.load_full()?;
        let (stdout, stderr) = (locked(&output.stdout), locked(&output.stderr));
        let printed_bytes = stdout.total() + stderr.total();
        let text = |capture: &Capture| capture.tail(TAIL_BYTES_MAX, &output.redactor);
        Some(Tail { stdout: text(&stdout), stderr: text(&stderr), printed_bytes })
    }

    /// How many bytes were printed so far.
    pub fn printed_bytes(&self) -> u64 {
        let output = self.0.load_full();
        output.map_or(0, |output| locked(&output.stdout).total() + locked(&output.stderr).total())
    }

    /// Shows `output` until what this gives is dropped.
    pub(super) fn show(&self, output: &Arc<Output>) -> Showing<'_> {
        self.0.store(Some(Arc::clone(output)));
        Showing(self)
    }
}

/// As long as this is there, output is shown.
#[derive(Debug)]
pub(super) struct Showing<'l>(&'l Live);

impl Drop for Showing<'_> {
    fn drop(&mut self) {
        self.0.0.store(None);
    }
}

/// What is kept of the output of a process.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stdout: Mutex<Capture>,
    pub(super) stderr: Mutex<Capture>,
    redactor: Arc<Redactor>,
}

impl Output {
    /// Nothing yet; `limit` bytes of each stream will be kept.
    pub(super) fn new(limit: usize, redactor: &Arc<Redactor>) -> Arc<Self> {
        let capture = || Mutex::new(Capture::new(limit, redactor));
        Arc::new(Self { stdout: capture(), stderr: capture(), redactor: Arc::clone(redactor) })
    }

    /// Takes out what was kept of both streams, as texts, and how many bytes they leave out.
    pub(super) fn take(&self) -> (String, String, u64) {
        let empty = || Capture::new(0, &self.redactor);
        let stdout = std::mem::replace(&mut *locked(&self.stdout), empty());
        let stderr = std::mem::replace(&mut *locked(&self.stderr), empty());
        let dropped = stdout.dropped() + stderr.dropped();
        (stdout.into_text(&self.redactor), stderr.into_text(&self.redactor), dropped)
    }
}

pub(super) fn locked(capture: &Mutex<Capture>) -> MutexGuard<'_, Capture> {
    capture.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "a-secret-of-20-bytes";

    fn output() -> Arc<Output> {
        Output::new(64 * 1024, &Arc::new(Redactor::new([SECRET]).expect("it builds")))
    }

    #[test]
    fn output_is_shown_while_it_is_lent_and_no_longer() {
        let (live, output) = (Live::default(), output());
        assert_eq!(live.tail(), None);
        let showing = live.show(&output);
        locked(&output.stdout).take(b"working\n");
        locked(&output.stderr).take(b"careful\n");
        let tail = live.tail().unwrap();
        assert_eq!((&*tail.stdout, &*tail.stderr, tail.printed_bytes), ("working\n", "careful\n", 16));
        drop(showing);
        assert_eq!((live.tail(), live.printed_bytes()), (None, 0));
        assert_eq!(output.take(), ("working\n".into(), "careful\n".into(), 0), "the journal gets it all");
    }

    #[test]
    fn only_the_end_is_shown() {
        let (live, output) = (Live::default(), output());
        let _showing = live.show(&output);
        locked(&output.stdout).take(&vec![b'a'; 3 * TAIL_BYTES_MAX]);
        locked(&output.stdout).take(b"the end");
        let tail = live.tail().unwrap();
        assert_eq!(tail.stdout.len(), TAIL_BYTES_MAX);
        assert!(tail.stdout.ends_with("athe end"), "{}", tail.stdout);
    }

    #[test]
    fn what_only_begins_like_a_secret_is_shown_once_that_is_known() {
        let (live, output) = (Live::default(), output());
        let _showing = live.show(&output);
        locked(&output.stdout).take(b"say a-secret");
        assert_eq!(live.tail().unwrap().stdout, "say ");
        locked(&output.stdout).take(b"ary\n");
        assert_eq!(live.tail().unwrap().stdout, "say a-secretary\n");
    }

    proptest! {
        /// Whoever looks at any moment, however the stream is cut and wherever its end is taken, sees no piece of a secret.
        #[test]
        fn no_piece_of_a_secret_is_shown_at_any_moment(
            before in 0_usize..3 * TAIL_BYTES_MAX, after in 0_usize..2 * TAIL_BYTES_MAX, chunk in 1_usize..50,
            twice in any::<bool>(),
        ) {
            let (live, output) = (Live::default(), output());
            let _showing = live.show(&output);
            let secret = SECRET.repeat(if twice { 2 } else { 1 });
            let near = before.saturating_sub(2 * chunk);
            locked(&output.stdout).take(&vec![b'.'; near]);
            let rest = [vec![b'.'; before - near], secret.into_bytes(), vec![b'.'; 100]].concat();
            for part in rest.chunks(chunk) {
                locked(&output.stdout).take(part);
                let seen = live.tail().unwrap().stdout;
                prop_assert!(!seen.contains(|c: char| c.is_ascii_lowercase()), "{seen}");
                prop_assert!(seen.len() <= TAIL_BYTES_MAX);
            }
            locked(&output.stdout).take(&vec![b'.'; after]);
            let seen = live.tail().unwrap().stdout;
            prop_assert!(!seen.contains(|c: char| c.is_ascii_lowercase()), "{seen}");
        }
    }
}
