//! `stanch backup` and `stanch restore`: a copy of the journal, and the way back.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{complain, note};
use super::{Exit, setup};
use crate::journal::backup::{self, BackupError};

/// Copy the journal to a file, while the daemon runs.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to make; it must not exist.
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

/// Put a copy of the journal in place, while the daemon is stopped.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The copy that `stanch backup` made.
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

impl Backup {
    pub(super) fn run(self, config: &Path) -> Exit {
        let config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        match backup::back_up(&config.data, &self.to) {
            Ok(head) => {
                let to = self.to.display();
                note(&format!("{to} holds the journal up to record {}; its chain was checked", head.seq));
                Exit::Done
            }
            Err(error) => fail(&error),
        }
    }
}

impl Restore {
    pub(super) fn run(self, config: &Path) -> Exit {
        let config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        match backup::restore(&self.from, &config.data) {
            Ok(head) => {
                let data = config.data.display();
                note(&format!("{data} has the journal up to record {}; what came later is not in it", head.seq));
                Exit::Done
            }
            Err(error) => fail(&error),
        }
    }
}

fn fail(error: &BackupError) -> Exit {
    complain(&error.to_string());
    match error {
        BackupError::Store(_) => Exit::Journal,
        BackupError::InTheWay(_) | BackupError::InUse(_) => Exit::No,
        BackupError::Io { .. } => Exit::Internal,
    }
}
