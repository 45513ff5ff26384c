//! `stanch pause` and `stanch resume`: the kill switch.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Exit;
use super::client::{Client, Done};
use super::output::note;
use crate::admin::api::PauseRequest;

/// Let nothing new start. Survives restart and reload.
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long; until `stanch resume` unless given.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasts: Option<Duration>,
    /// Also end what runs.
    #[arg(long)]
    now: bool,
}

impl Pause {
    pub(super) fn run(self, config: &Path) -> Exit {
        let for_ms = self.lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let request = PauseRequest { reason: self.reason, for_ms, now: self.now };
        let asked = Client::new(config).and_then(|client| client.post::<Done>("pause", &request));
        match asked {
            Ok(Done {}) => {
                note("paused: nothing new starts; events are still taken and decided");
                Exit::Done
            }
            Err(exit) => exit,
        }
    }
}

/// End the pause.
#[derive(Debug, Args)]
pub(super) struct Resume {}

impl Resume {
    pub(super) fn run(self, config: &Path) -> Exit {
        match Client::new(config).and_then(|client| client.post::<Done>("resume", &json!({}))) {
            Ok(Done {}) => {
                note("resumed");
                Exit::Done
            }
            Err(exit) => exit,
        }
    }
}

/// A duration as rule files write it.
fn duration(text: &str) -> Result<Duration, String> {
    crate::rule::duration::parse(text).map_err(|problem| format!("{text:?} {problem}"))
}
