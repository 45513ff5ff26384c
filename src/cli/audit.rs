//! `stanch audit`: is the journal what was written, and all of it as text.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{OutputFormat, complain, json, json_line, note, say};
use super::{Exit, setup};
use crate::journal::chain::{Head, HeadFile, Outside};
use crate::journal::read::Reader;
use crate::journal::store::{StoreError, Verified};
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
    Verify {
        /// A head that you kept elsewhere, as this command printed it before: the chain must still hold it.
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t)]
        format: OutputFormat,
    },
    /// Write every record as a line of JSON.
    Export,
}

impl Audit {
    pub(super) fn run(self, config: &Path) -> Exit {
        let config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let command = self.command;
        let done = Reader::open(&config.data.join(FILE_NAME)).and_then(|reader| match &command {
            What::Verify { head, format } => verify(&reader, &config.data.join(HEAD_NAME), *head, *format),
            What::Export => export(&reader),
        });
        match done {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&error.to_string());
                if let What::Verify { format: OutputFormat::Json, .. } = command {
                    json(&json!({ "intact": false, "error": error.to_string() }));
                }
                Exit::Journal
            }
        }
    }
}

fn verify(reader: &Reader, head_file: &Path, kept: Option<Head>, format: OutputFormat) -> Result<(), StoreError> {
    // Read first: the daemon may write on, and then the chain is longer than it was.
    let outside = HeadFile::read_only(head_file).map_err(|source| StoreError::Io {
        doing: "read",
        path: head_file.to_owned(),
        source,
    })?;
    let Verified { dropped, head } = reader.verify()?;
    if let Outside::Known(outside) = outside {
        reader.check_against(&head, &outside)?;
    }
    if let Some(kept) = kept {
        reader.check_holds(&head, &kept)?;
    }
    let compared =
        [matches!(outside, Outside::Known(_)).then_some("journal.head"), kept.is_some().then_some("the head given")];
    let compared: Vec<&str> = compared.into_iter().flatten().collect();
    match format {
        OutputFormat::Json => json(&json!({
            "intact": true,
            "records": head.seq - dropped,
            "dropped": dropped,
            "head": head.to_string(),
            "compared_with": compared,
        })),
        OutputFormat::Human => {
            let front =
                if dropped > 0 { format!(" ({dropped} before them were dropped by retention)") } else { String::new() };
            say(&format!("intact: {} records{front}, head {head}", head.seq - dropped));
        }
    }
    if compared.is_empty() {
        let why = outside.why_unknown().unwrap_or_default();
        note(&format!(
            "warning: {} {why}, so there was nothing outside the journal to compare it with: if its end had been cut \
             off, it would look the same. Give `--head SEQ:HASH` to compare with a head that you kept",
            head_file.display()
        ));
    }
    Ok(())
}

fn export(reader: &Reader) -> Result<(), StoreError> {
    reader.scan_with_bodies(|stored| {
        let body = stored.payload.as_deref().and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
        json_line(&json!({ "seq": stored.seq, "at": stored.at, "record": stored.record, "body": body }));
        true
    })
}
