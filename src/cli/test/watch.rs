//! `stanch test --watch`: the tests again, whenever what they read has changed.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::Test;
use crate::cli::output::note;
use crate::cli::{Exit, setup};
use crate::engine::Inputs;
use crate::engine::watcher::{Hint, LOOK_EVERY, QUIET, QUIETS_MAX, Watched};

impl Test {
    /// Runs the tests, waits for a change, and begins again. Ends only where the first config cannot be read.
    pub(super) fn run_again_and_again(&self, file: &Path) -> Exit {
        let mut config = match setup::config(file) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let (send, hints) = sync_channel(1);
        // A full channel holds a hint already.
        let hint: Hint = Arc::new(move || {
            send.try_send(()).ok();
        });
        let mut watched = Watched::default();
        loop {
            // Taken before the tests run, so that a change meanwhile is noticed.
            let look = || Inputs::of_tests(&config, &self.paths);
            watched.follow(look, &hint);
            let before = look().fingerprint();
            self.run_once(file);
            note("waiting for changes; Ctrl-C ends");
            while look().fingerprint() == before {
                settle(&hints);
                watched.follow(look, &hint);
            }
            // Of one that is broken `run_once` says what is wrong; its files are those of the last one that was not.
            if let Ok(loaded) = crate::config::load::load(file) {
                config = loaded.config;
            }
        }
    }
}

/// Waits until something is reported, and then until no more is.
fn settle(hints: &Receiver<()>) {
    if hints.recv_timeout(LOOK_EVERY).is_err() {
        return;
    }
    for _ in 0..QUIETS_MAX {
        std::thread::sleep(QUIET);
        if hints.try_recv().is_err() {
            return;
        }
    }
}
