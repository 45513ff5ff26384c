//! `stanch runs`: what was done, what waits, and what a person says to it.

use std::path::Path;

use clap::{Args, Subcommand};

use super::Exit;
use super::client::{Client, person, segment};
use super::output::{OutputFormat, cell, json, say, show, table};
use super::pause::note_pauses;
use crate::admin::api::runs::{ActRequest, RunDone};
use crate::admin::views::{RunStory, RunView, StepView, WriteBackView};
use crate::journal::record::{Phase, StepEnd, StepResult};
use crate::report::printable;

/// Runs and approvals.
#[derive(Debug, Args)]
pub(super) struct Runs {
    #[command(subcommand)]
    command: Option<What>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: OutputFormat,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The newest runs, those that wait or act first (the default).
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One run with its steps and their output.
    Show {
        /// Its id.
        id: String,
    },
    /// Call off a run that waits or acts.
    Cancel(About),
    /// Allow a run that waits for approval.
    Approve(About),
    /// Refuse a run that waits for approval.
    Deny(About),
    /// Do a run that ended again: decided afresh, by the rules, guards and state of now.
    Rerun(About),
}

#[derive(Debug, Args)]
struct About {
    /// The run's id.
    id: String,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Runs {
    pub(super) fn run(self, config: &Path) -> Exit {
        self.ask(config).err().unwrap_or(Exit::Done)
    }

    fn ask(self, config: &Path) -> Result<(), Exit> {
        let client = Client::new(config)?;
        match self.command.unwrap_or(What::List { limit: 50 }) {
            What::List { limit } => {
                let runs: Vec<RunView> = client.get(&format!("runs?limit={limit}"))?;
                if self.format == OutputFormat::Human {
                    note_pauses(&client)?;
                }
                show(self.format, &runs, |runs| list(runs));
            }
            What::Show { id } => {
                let story: RunStory = client.get(&format!("runs/{}", segment(&id)))?;
                show(self.format, &story, say_story);
            }
            What::Cancel(about) => self.format.tell(&about.act(&client, "cancel")?, "is cancelled"),
            What::Approve(about) => self.format.tell(&about.act(&client, "approve")?, "is approved"),
            What::Deny(about) => self.format.tell(&about.act(&client, "deny")?, "is denied"),
            What::Rerun(about) => {
                let was = printable(&about.id).into_owned();
                self.format.tell(&about.act(&client, "rerun")?, &format!("does again what {was} did"));
            }
        }
        Ok(())
    }
}

impl About {
    fn act(self, client: &Client, verb: &str) -> Result<RunDone, Exit> {
        let request = ActRequest { reason: self.reason, person: person() };
        client.post(&format!("runs/{}/{verb}", segment(&self.id)), &request)
    }
}

impl OutputFormat {
    /// Says what was done to a run.
    fn tell(self, done: &RunDone, what: &str) {
        match self {
            Self::Json => json(done),
            Self::Human => say(&format!("run {} {what}", printable(&done.run))),
        }
    }
}

fn list(runs: &[RunView]) {
    let row = |run: &RunView| {
        vec![
            run.since.to_string(),
            cell(&run.run, 24),
            cell(&run.rule, 40),
            cell(&run.target, 40),
            run.state.clone(),
            run.duration_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
            cell(run.error.as_deref().unwrap_or_default(), 60),
        ]
    };
    table(&["SINCE", "RUN", "RULE", "TARGET", "STATE", "TOOK", "WHY"], &runs.iter().map(row).collect::<Vec<_>>());
}

/// Prints a run with everything it did.
pub(super) fn say_story(story: &RunStory) {
    let run = &story.run;
    say(&format!("{}  {} on {}: {}", printable(&run.run), run.rule, cell(&run.target, 120), run.state));
    if let Some(event) = &run.event {
        say(&format!("  for event {}", printable(event)));
    }
    if let Some(error) = &run.error {
        say(&format!("  {}", printable(error)));
    }
    for said in &story.said {
        say(&format!("  {} {}", said.at, printable(&said.what)));
    }
    story.steps.iter().for_each(say_step);
    story.write_backs.iter().for_each(say_write_back);
}

/// Prints what was written back.
pub(super) fn say_write_back(view: &WriteBackView) {
    let tries = if view.attempts > 1 { format!(" (try {})", view.attempts) } else { String::new() };
    let request = view.request_id.as_deref().map(|id| format!(", request {}", cell(id, 64))).unwrap_or_default();
    let incident = cell(&view.incident, 64);
    say(&format!("  {} flashduty {} on {incident}: {}{tries}{request}", view.since, view.call, view.outcome));
    for line in view.comment.as_deref().unwrap_or_default().lines() {
        say(&format!("    | {}", printable(line)));
    }
    if let Some(error) = &view.error {
        say(&format!("    {}", printable(error)));
    }
}

fn say_step(view: &StepView) {
    let tries = if view.attempt > 1 { format!(" (try {})", view.attempt) } else { String::new() };
    let end = view.result.as_ref().map_or_else(|| "running".to_owned(), describe);
    let item = view.each.as_ref().map(|each| format!("[{}] ", cell(&each.item, 40))).unwrap_or_default();
    let phase = match view.phase {
        Phase::Steps => "",
        Phase::Verify => "verify: ",
        Phase::OnSuccess => "on_success: ",
        Phase::OnFailure => "on_failure: ",
    };
    say(&format!("  {} {phase}{item}{}{tries}: {end}", view.started_at, cell(&view.name, 100)));
    // Of one that runs now it is the end of what it has printed so far.
    let streams = match (&view.result, &view.now) {
        (Some(result), _) => [&result.stdout, &result.stderr],
        (None, Some(now)) => [&now.stdout, &now.stderr],
        (None, None) => return,
    };
    for (name, text) in ["out", "err"].into_iter().zip(streams) {
        for line in text.lines() {
            say(&format!("    {name} | {}", printable(line)));
        }
    }
    let Some(result) = &view.result else { return };
    if result.dropped_bytes > 0 {
        say(&format!("    {} bytes of output were left out", result.dropped_bytes));
    }
}

fn describe(result: &StepResult) -> String {
    let end = match result.end {
        StepEnd::Succeeded => "succeeded",
        StepEnd::Failed => "failed",
        StepEnd::TimedOut => "timed out",
        StepEnd::Cancelled => "cancelled",
        StepEnd::Skipped => "skipped",
    };
    let code = match (result.exit_code, result.signal, result.status) {
        (Some(code), ..) => format!(", exit code {code}"),
        (_, Some(signal), _) => format!(", signal {signal}"),
        (.., Some(status)) => format!(", status {status}"),
        _ => String::new(),
    };
    let error = result.error.as_deref().map(|error| format!(", {}", printable(error))).unwrap_or_default();
    format!("{end} after {} ms{code}{error}", result.duration_ms)
}
