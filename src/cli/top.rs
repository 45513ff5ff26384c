//! `stanch top`: what the daemon does, as it does it, in a terminal.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Exit;
use super::client::Client;
use super::output::{cell, say};
use crate::admin::views::{EventView, RunView, StatusView};

/// Home, and everything behind it gone: a new picture over the old one without a flicker.
const HOME: &str = "\x1b[H";
/// What is left of a line is cleared, so that a shorter line leaves nothing of a longer one.
const CLEAR_LINE: &str = "\x1b[K";
/// What is left of the screen is cleared.
const CLEAR_BELOW: &str = "\x1b[J";
/// The least time between two pictures; asking more often would be work for nothing.
const EVERY_MIN: Duration = Duration::from_millis(200);

/// Watch runs and events as they come; Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Seconds between two pictures.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    every: f64,
    /// How many runs and events are shown.
    #[arg(long, default_value_t = 12)]
    limit: usize,
    /// Show one picture and end.
    #[arg(long)]
    once: bool,
}

impl Top {
    pub(super) fn run(self, config: &Path) -> Exit {
        self.watch(config).err().unwrap_or(Exit::Done)
    }

    fn watch(&self, config: &Path) -> Result<(), Exit> {
        let client = Client::new(config)?;
        let every = Duration::try_from_secs_f64(self.every).unwrap_or(EVERY_MIN).max(EVERY_MIN);
        // A picture that cannot be painted over would fill a file without end.
        if self.once || !std::io::stdout().is_terminal() {
            self.picture(&client)?.iter().for_each(|line| say(line));
            return Ok(());
        }
        loop {
            let mut picture = HOME.to_owned();
            for line in self.picture(&client)? {
                picture.push_str(&line);
                picture.push_str(CLEAR_LINE);
                picture.push('\n');
            }
            picture.push_str(CLEAR_BELOW);
            let mut out = anstream::stdout();
            if write!(out, "{picture}").and_then(|()| out.flush()).is_err() {
                // Nobody looks any more.
                return Ok(());
            }
            std::thread::sleep(every);
        }
    }

    fn picture(&self, client: &Client) -> Result<Vec<String>, Exit> {
        let status: StatusView = client.get("status")?;
        let runs: Vec<RunView> = client.get(&format!("runs?limit={}", self.limit))?;
        let events: Vec<EventView> = client.get(&format!("events?limit={}", self.limit))?;
        Ok(lines(&status, &runs, &events))
    }
}

fn lines(status: &StatusView, runs: &[RunView], events: &[EventView]) -> Vec<String> {
    let (bold, alarm, reset) =
        (anstyle::Style::new().bold(), anstyle::AnsiColor::Red.on_default().bold(), anstyle::Reset);
    let mut lines = vec![format!(
        "{bold}stanch {}{reset}  {} rules (generation {}), mode {}, {} running, {} waiting",
        status.version, status.rules, status.generation, status.mode, status.runs_active, status.runs_waiting
    )];
    if let Some(pause) = &status.paused {
        let until = pause.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let why = cell(pause.reason.as_deref().unwrap_or("no reason given"), 80);
        lines.push(format!("{alarm}PAUSED{reset}{until}: {why}"));
    }
    lines.push(String::new());
    lines.push(format!("{bold}{:<20}  {:<24}  {:<28}  {:<18}  WHY{reset}", "RUN SINCE", "RULE", "TARGET", "STATE"));
    lines.extend(runs.iter().map(|run| {
        let (rule, target) = (cell(&run.rule, 24), cell(&run.target, 28));
        let why = cell(run.error.as_deref().unwrap_or_default(), 50);
        format!("{:<20}  {rule:<24}  {target:<28}  {:<18}  {why}", short(&run.since.to_string()), run.state)
    }));
    lines.push(String::new());
    lines.push(format!("{bold}{:<20}  {:<10}  {:<44}  LED TO{reset}", "EVENT AT", "TYPE", "TITLE"));
    lines.extend(events.iter().map(|event| {
        let title = cell(event.title.as_deref().unwrap_or(&event.entity), 44);
        let (kind, at) = (cell(&event.event_type, 10), short(&event.received_at.to_string()));
        format!("{at:<20}  {kind:<10}  {title:<44}  {}", led_to(event))
    }));
    lines
}

/// A time to the second.
fn short(time: &str) -> String {
    time.chars().take(19).collect()
}

fn led_to(event: &EventView) -> String {
    let Some(decision) = &event.decision else { return "not decided yet".into() };
    if decision.late_since.is_some() {
        return "late".into();
    }
    match decision.rules.as_slice() {
        [] => "no rule".into(),
        rules => {
            let each: Vec<String> = rules.iter().map(|rule| format!("{}: {}", rule.rule, rule.outcome)).collect();
            cell(&each.join(", "), 60)
        }
    }
}
