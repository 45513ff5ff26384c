//! `stanch catch-up`: asks Flashduty for incidents that were opened and not pushed.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Exit;
use super::client::Client;
use super::output::{OutputFormat, json, note, say};
use crate::admin::api::catch_up::CatchUpRequest;
use crate::engine::CaughtUp;

/// Ask Flashduty for incidents that were opened and not pushed, and take them in.
#[derive(Debug, Args)]
pub(super) struct CatchUp {
    /// How far back.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    since: Duration,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl CatchUp {
    pub(super) fn run(self, config: &Path) -> Exit {
        let since_ms = u64::try_from(self.since.as_millis()).unwrap_or(u64::MAX);
        let request = CatchUpRequest { since_ms: Some(since_ms) };
        let asked = Client::new(config).and_then(|client| client.post_patiently::<CaughtUp>("catch-up", &request));
        let caught = match asked {
            Ok(caught) => caught,
            Err(exit) => return exit,
        };
        match self.format {
            OutputFormat::Json => json(&caught),
            OutputFormat::Human => tell(&caught),
        }
        Exit::Done
    }
}

fn tell(caught: &CaughtUp) {
    say(&format!("{} incidents were taken in, {} were known", caught.taken, caught.known));
    if caught.unusable > 0 {
        note(&format!("{} incidents cannot be used; the daemon's log says why", caught.unusable));
    }
    if caught.more {
        note("more incidents are open than are caught up at once; the rest is left");
    }
}

/// A duration as rule files write it.
fn duration(text: &str) -> Result<Duration, String> {
    crate::rule::duration::parse(text).map_err(|problem| format!("{text:?} {problem}"))
}
