//! `stanch check`: every problem of config, rules and scripts at once.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::{complain, note, say, wants_colour};
use super::{Exit, setup};
use crate::rule::diagnostic::{Format, Severity, render};
use crate::rule::load::{Loaded, Summary, load, load_paths};

/// Validate config, rules and scripts; every problem at once.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Rule files or folders; the config's rules folder unless given.
    paths: Vec<PathBuf>,
    /// How problems are printed.
    #[arg(long, value_enum, default_value_t)]
    format: CheckFormat,
    /// Fail also where there are only warnings.
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum CheckFormat {
    /// For people.
    #[default]
    Human,
    /// For machines.
    Json,
    /// For annotations in GitHub Actions.
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings fail the check as errors do.
    Warnings,
}

impl Check {
    pub(super) fn run(self, config: &Path) -> Exit {
        let format = match self.format {
            CheckFormat::Human => Format::Human { colour: wants_colour() },
            CheckFormat::Json => Format::Json,
            CheckFormat::Github => Format::Github,
        };
        let (config, warnings) = match crate::config::load::load(config) {
            Ok(loaded) => (loaded.config, (loaded.warnings, loaded.sources)),
            Err(invalid) => {
                self.print(&render(format, &invalid.diagnostics, &invalid.sources));
                return Exit::Config;
            }
        };
        let Loaded { set, mut diagnostics, mut sources, summary, .. } =
            if self.paths.is_empty() { load(&config, 1) } else { load_paths(&config, &self.paths) };
        diagnostics.extend(warnings.0);
        sources.extend(warnings.1);
        for secret in config.secrets() {
            if let Err(error) = secret.resolve() {
                complain(&error.to_string());
                return Exit::Config;
            }
        }
        let errors = setup::count(&diagnostics, Severity::Error);
        let warned = setup::count(&diagnostics, Severity::Warning);
        if !diagnostics.is_empty() || self.format == CheckFormat::Json {
            self.print(&render(format, &diagnostics, &sources));
        }
        if self.format == CheckFormat::Human {
            say(&conclusion(&summary, errors, warned));
        }
        let denied = self.deny == Some(Deny::Warnings) && warned > 0;
        if set.is_none() || errors > 0 || denied { Exit::No } else { Exit::Done }
    }

    /// Problems are the result of machine formats, and a remark beside the result for people.
    fn print(&self, text: &str) {
        match self.format {
            CheckFormat::Human => note(text.trim_end()),
            CheckFormat::Json | CheckFormat::Github => say(text.trim_end()),
        }
    }
}

/// What was found, in one line that says more than OK.
fn conclusion(summary: &Summary, errors: usize, warnings: usize) -> String {
    let found = format!(
        "{} in {}, {} covering events {} on channels {}",
        count(summary.rules, "rule"),
        count(summary.files, "file"),
        count(summary.tests, "test"),
        list(&summary.events),
        list(&summary.channels),
    );
    let scripts = match summary.modules {
        0 => String::new(),
        modules => format!(", {}", count(modules, "script module")),
    };
    match (errors, warnings) {
        (0, 0) => format!("ok: {found}{scripts}"),
        (0, warnings) => format!("ok with {}: {found}{scripts}", count(warnings, "warning")),
        (errors, warnings) => {
            format!("not usable: {} and {} in {found}{scripts}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if texts.is_empty() { "(none)".into() } else { texts.join(", ") }
}
