//! `stanch audit`: is the journal what was written, and all of it as text.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{complain, say};
use super::{Exit, setup};
use crate::journal::chain::{Head, HeadFile};
use crate::journal::read::Reader;
use crate::journal::store::StoreError;
use crate::journal::{FILE_NAME, HEAD_NAME};

/// Check the journal, or write it out.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check every digest and hash of the chain.
    Verify,
    /// Write every record as a line of JSON.
    Export,
}

impl Audit {
    pub(super) fn run(self, config: &Path) -> Exit {
        let config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let done = Reader::open(&config.data.join(FILE_NAME)).and_then(|reader| match self.command {
            What::Verify => verify(&reader, &config.data.join(HEAD_NAME)),
            What::Export => export(&reader),
        });
        match done {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&error.to_string());
                Exit::Journal
            }
        }
    }
}

fn verify(reader: &Reader, head_file: &Path) -> Result<(), StoreError> {
    // Read first: the daemon may write on, and then the chain is longer than it was.
    let outside = HeadFile::read_only(head_file).unwrap_or_default();
    let head = reader.verify()?;
    if let Some(outside) = outside {
        reader.check_against(&head, &outside)?;
    }
    let Head { seq, hash } = head;
    say(&format!("intact: {seq} records, head {}", blake3::Hash::from(hash)));
    Ok(())
}

fn export(reader: &Reader) -> Result<(), StoreError> {
    reader.scan_with_bodies(|stored| {
        let body = stored.payload.as_deref().and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
        say(&json!({ "seq": stored.seq, "at": stored.at, "record": stored.record, "body": body }).to_string());
        true
    })
}
