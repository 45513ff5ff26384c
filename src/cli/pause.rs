//! `stanch pause` and `stanch resume`: the kill switch.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Exit;
use super::client::{Client, Done, person};
use super::output::{note, say};
use crate::admin::api::state::{PauseRequest, ResumeRequest};
use crate::admin::views::StatusView;
use crate::report::printable;

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
    /// Only this rule.
    #[arg(long, value_name = "ID", conflicts_with = "channel")]
    rule: Option<String>,
    /// Only this channel.
    #[arg(long, value_name = "ID|NAME")]
    channel: Option<String>,
}

impl Pause {
    pub(super) fn run(self, config: &Path) -> Exit {
        let Self { reason, lasts, now, rule, channel } = self;
        let for_ms = lasts.map(|lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let what = of_scope(rule.as_deref(), channel.as_deref());
        let request = PauseRequest { reason, for_ms, now, rule, channel, person: person() };
        let asked = Client::new(config).and_then(|client| client.post::<Done>("pause", &request));
        match asked {
            Ok(Done {}) => {
                say(&format!("paused: nothing new {what}starts; events are still taken and decided"));
                Exit::Done
            }
            Err(exit) => exit,
        }
    }
}

/// End the pause.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// Only the pause of this rule.
    #[arg(long, value_name = "ID", conflicts_with = "channel")]
    rule: Option<String>,
    /// Only the pause of this channel, named as it was paused.
    #[arg(long, value_name = "ID|NAME")]
    channel: Option<String>,
}

impl Resume {
    pub(super) fn run(self, config: &Path) -> Exit {
        self.ask(config).err().unwrap_or(Exit::Done)
    }

    fn ask(self, config: &Path) -> Result<(), Exit> {
        let client = Client::new(config)?;
        let request = ResumeRequest { rule: self.rule, channel: self.channel, person: person() };
        let _: Done = client.post("resume", &request)?;
        say("resumed");
        note_pauses(&client)
    }
}

/// Says what is paused, where something is.
pub(super) fn note_pauses(client: &Client) -> Result<(), Exit> {
    let status: StatusView = client.get("status")?;
    for pause in &status.pauses {
        let reason = pause.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let by = pause.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
        let until = pause.until.map(|until| format!(", until {until}")).unwrap_or_default();
        note(&printable(&format!("{} is PAUSED{reason}{by}{until}", pause.scope)));
    }
    Ok(())
}

fn of_scope(rule: Option<&str>, channel: Option<&str>) -> String {
    match (rule, channel) {
        (Some(rule), _) => format!("of rule {} ", printable(rule)),
        (_, Some(channel)) => format!("of channel {} ", printable(channel)),
        (None, None) => String::new(),
    }
}

/// A duration as rule files write it.
fn duration(text: &str) -> Result<Duration, String> {
    crate::rule::duration::parse(text).map_err(|problem| format!("{text:?} {problem}"))
}
