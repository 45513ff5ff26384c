//! `stanch events`: what came in, and what each led to.

use std::path::Path;

use clap::{Args, Subcommand};

use super::Exit;
use super::client::{Client, segment};
use super::output::{OutputFormat, cell, json, say, table};
use super::runs::say_story;
use crate::admin::api::events::EventStory;
use crate::admin::views::{EventView, RuleDecisionView};
use crate::report::printable;

/// What came in, and what each event led to.
#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(subcommand)]
    command: Option<What>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: OutputFormat,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The newest events (the default).
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One event, with its decisions and runs.
    Show {
        /// Its id.
        id: String,
    },
}

impl Events {
    pub(super) fn run(self, config: &Path) -> Exit {
        self.ask(config).err().unwrap_or(Exit::Done)
    }

    fn ask(self, config: &Path) -> Result<(), Exit> {
        let client = Client::new(config)?;
        match self.command.unwrap_or(What::List { limit: 50 }) {
            What::List { limit } => {
                let events: Vec<EventView> = client.get(&format!("events?limit={limit}"))?;
                match self.format {
                    OutputFormat::Json => json(&events),
                    OutputFormat::Human => list(&events),
                }
            }
            What::Show { id } => {
                let story: EventStory = client.get(&format!("events/{}", segment(&id)))?;
                match self.format {
                    OutputFormat::Json => json(&story),
                    OutputFormat::Human => show(&story),
                }
            }
        }
        Ok(())
    }
}

fn list(events: &[EventView]) {
    let row = |event: &EventView| {
        vec![
            event.received_at.to_string(),
            cell(&event.event, 40),
            cell(&event.event_type, 14),
            cell(&event.entity, 40),
            cell(&led_to(event), 80),
        ]
    };
    table(&["RECEIVED", "EVENT", "TYPE", "ENTITY", "LED TO"], &events.iter().map(row).collect::<Vec<_>>());
}

/// What an event led to, in a few words.
fn led_to(event: &EventView) -> String {
    match &event.decision {
        None => "not decided yet".into(),
        Some(decision) if decision.late_since.is_some() => "late".into(),
        Some(decision) if decision.rules.is_empty() => "concerns no rule".into(),
        Some(decision) => {
            let words: Vec<String> =
                decision.rules.iter().map(|rule| format!("{}: {}", rule.rule, rule.outcome)).collect();
            words.join(", ")
        }
    }
}

fn show(story: &EventStory) {
    let event = &story.event;
    say(&format!("{}  {}  {}", cell(&event.event, 128), printable(&event.event_type), printable(&event.entity)));
    if let Some(title) = &event.title {
        say(&format!("  {}", cell(title, 200)));
    }
    say(&format!("  received {} by {}", event.received_at, printable(&event.source)));
    match &event.decision {
        None => say("  not decided yet"),
        Some(decision) => {
            say(&format!("  decided {} by rule set {}", decision.at, decision.generation));
            if let Some(newest) = decision.late_since {
                say(&format!("  late: a newer event of {}, of {newest}, came before", printable(&event.entity)));
            } else if decision.rules.is_empty() {
                say(&format!("  concerns no rule; `stanch explain --event {}` says why", cell(&event.event, 128)));
            }
            decision.rules.iter().for_each(say_decision);
        }
    }
    for run in &story.runs {
        say("");
        say_story(run);
    }
}

fn say_decision(decision: &RuleDecisionView) {
    let reason = decision.reason.as_deref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
    let until = decision.until.map(|until| format!(" (until {until})")).unwrap_or_default();
    let run = decision.run.as_deref().map(|run| format!(" [{run}]")).unwrap_or_default();
    say(&format!("  {}: {}{run}{reason}{until}", decision.rule, decision.outcome));
}
