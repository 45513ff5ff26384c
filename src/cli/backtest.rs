//! `stanch backtest`: what a rule set would have done with the events that the journal holds.

mod human;
mod progress;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::output::{OutputFormat, answered, complain};
use super::{Exit, setup};
use crate::config::Config;
use crate::engine::{Options, settings};
use crate::journal::FILE_NAME;
use crate::replay::Budget;
use crate::replay::backtest::{Answer, Request, backtest};
use crate::rule::load::{Loaded, load, load_paths};
use crate::rule::{RuleSet, duration};
use crate::simulate::backtest::{Approvals, Rules, RunModel};
use progress::Progress;

/// Run a rule set over the journal's recorded events: what would have run, on what, how often, and what is different.
///
/// Reads the journal only, also while the daemon runs, and executes nothing. Runs are taken to succeed.
#[derive(Debug, Args)]
pub(super) struct Backtest {
    /// The rule set to try; the config's rules folder unless given.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Only events of this time before the newest one: 7d, 12h. All that are kept unless given.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Duration>,
    /// Compare with what this rule set would have done, instead of with what was done.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// How long each run is taken to last; 0s unless given.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    run_takes: Option<Duration>,
    /// Whether what asks people is taken to be allowed at once.
    #[arg(long, value_enum, default_value_t)]
    approvals: Allow,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Allow {
    /// They allow everything at once.
    #[default]
    Granted,
    /// They never allow anything.
    Never,
}

impl Backtest {
    pub(super) fn run(self, config: &Path) -> Exit {
        answered(self.answer(config), self.format, human::show)
    }

    fn answer(&self, config: &Path) -> Result<Answer, Exit> {
        let config = setup::config(config)?;
        let tried = rules(&config, self.rules.as_deref())?;
        let against = self.against.as_deref().map(|folder| rules(&config, Some(folder))).transpose()?;
        let settings = settings(&config, &Options::of_reader());
        let file = config.data.join(FILE_NAME);
        if !file.exists() {
            let message = "there is no journal yet: a backtest needs the events that a daemon has recorded";
            complain(&format!("{} does not exist: {message}", file.display()));
            return Err(Exit::Journal);
        }
        let approvals = match self.approvals {
            Allow::Granted => Approvals::Granted,
            Allow::Never => Approvals::Never,
        };
        let named = |rules| Rules { rules, settings: &settings };
        let request = Request {
            tried: named(&tried),
            against: against
                .as_ref()
                .zip(self.against.as_ref())
                .map(|(rules, folder)| (named(rules), folder.display().to_string())),
            since: self.since,
            model: RunModel { takes: self.run_takes.unwrap_or_default(), approvals },
            strict_ordering: config.strict_ordering,
        };
        let mut progress = Progress::default();
        let answer = backtest(&file, &request, &Budget::unlimited(), |from, at, to| progress.at(from, at, to));
        progress.done();
        answer.map_err(|error| {
            complain(&error.to_string());
            Exit::Journal
        })
    }
}

/// A rule set: the config's, or that of another folder or file with the config's scripts.
fn rules(config: &Config, folder: Option<&Path>) -> Result<RuleSet, Exit> {
    let Loaded { set, diagnostics, sources, .. } = match folder {
        None => load(config, 1),
        Some(folder) if folder.is_dir() => {
            let rules = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            load(&Config { rules, ..config.clone() }, 1)
        }
        Some(file) => load_paths(config, &[file.to_owned()]),
    };
    setup::show(&diagnostics, &sources);
    set.ok_or_else(|| {
        complain("the rules have errors, so nothing was tried");
        Exit::No
    })
}

fn parse_time(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    duration::parse(text).map_err(|problem| format!("it {problem}; durations are 30s, 5m, 1h, 7d"))
}
