//! Notices that config, rules, scripts or secrets changed on disk, and has them read again.
//!
//! # Theory of operation
//!
//! What the kernel reports is only a hint. After it has been quiet for a moment, the [`Inputs`] are looked at and
//! compared with what they were when they were last read; only a difference leads to a reload. So a storm of reports,
//! an editor's temporary files and writes beside the config cost one look, and nothing is read again because it was
//! read. Folders are watched rather than files, since editors and deployments put a new file in the place of the old
//! one, and the folders in which links lie that lead to an input are watched too, since a deployment may swap such a
//! link. Folders that come to be are watched before they are looked at, so that nothing falls in between.
//!
//! Where the kernel reports nothing (a network file system, or its watches used up), a look is taken from time to time
//! all the same. A set that was refused is not tried again before something changes.

mod inputs;
mod reports;

pub use inputs::{Fingerprint, Inputs, Stamp};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Handle;
use crate::config::Config;
use reports::Reports;

/// How long nothing must have been reported before the files are looked at. An editor or `git pull` writes several
/// files within this; a person hardly notices it.
pub(crate) const QUIET: Duration = Duration::from_millis(300);
/// How many times [`QUIET`] is waited for while reports keep coming: something that writes without a pause must not
/// keep a fix from coming into force.
pub(crate) const QUIETS_MAX: u32 = 10;
/// How often the files are looked at without any report.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often folders may come and go while watches are being set, until the next look has to do.
const SETTLING_MAX: usize = 4;

/// What was read last, whether it came into force or was refused.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whose files are watched: the last config that was valid in itself.
    pub(super) config: Arc<Config>,
    /// What they were like just before they were read.
    pub(super) fingerprint: Fingerprint,
}

/// Has changes on disk come into force, and reloads that were asked for, until the task is aborted.
pub(super) async fn watch(handle: Handle) {
    let (hint, mut hints) = mpsc::channel::<()>(1);
    // A full channel holds a hint already.
    let hint: Hint = Arc::new(move || {
        hint.try_send(()).ok();
    });
    let mut watched = Watched::default();
    loop {
        let (seen, hint) = (handle.seen(), Arc::clone(&hint));
        let follow = move || {
            watched.follow(|| Inputs::look(&seen.config), &hint);
            watched
        };
        // It does not panic; were it to, the files are still looked at from time to time.
        watched = tokio::task::spawn_blocking(follow).await.unwrap_or_default();
        handle.reload_if_changed().await;
        tokio::select! {
            _ = hints.recv() => settle(&mut hints).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // What is wrong with the new set is logged; the old one goes on.
            () = handle.asked_to_reload() => drop(handle.reload(false).await),
        }
    }
}

/// Waits until no more is reported.
async fn settle(hints: &mut mpsc::Receiver<()>) {
    for _ in 0..QUIETS_MAX {
        tokio::time::sleep(QUIET).await;
        if hints.try_recv().is_err() {
            return;
        }
    }
}

/// Called on the thread of the [`Reports`] when something may have changed.
pub(crate) type Hint = Arc<dyn Fn() + Send + Sync>;

/// The folders that the kernel reports on.
#[derive(Default)]
pub(crate) struct Watched {
    folders: BTreeSet<inputs::Folder>,
    /// Nobody asks them anything: they come until this is dropped.
    _reports: Option<Reports>,
}

impl Watched {
    /// Watches every folder that matters now, as `look` finds them.
    pub(crate) fn follow(&mut self, look: impl Fn() -> Inputs, hint: &Hint) {
        for _ in 0..SETTLING_MAX {
            let folders = look().folders;
            if folders == self.folders {
                break;
            }
            match Reports::of(&folders, Arc::clone(hint)) {
                Ok(reports) => *self = Self { folders, _reports: Some(reports) },
                Err(error) => {
                    let every = LOOK_EVERY.as_secs();
                    tracing::warn!(
                        %error,
                        "changes of rules and config are not reported, so they come into force within {every} s, or \
                         with `stanch reload`"
                    );
                    // What it watched stays watched; it is not tried again before the folders change.
                    self.folders = folders;
                    break;
                }
            }
        }
    }
}
