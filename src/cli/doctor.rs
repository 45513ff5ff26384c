//! `stanch doctor`: is everything that the daemon needs as it should be, and if not, what to do.
//!
//! It reads, connects and asks; it changes nothing.

mod daemon;
mod files;
mod hosts;
mod journal;
mod network;

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::output::{OutputFormat, json, say};
use super::{Exit, setup};
use crate::report::printable;
use crate::rule::RuleSet;
use crate::rule::load::load;

/// Look for what keeps Stanch from working, or soon may.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
    /// Also log in to the hosts that stand in `ssh` steps, and run `true` there.
    #[arg(long)]
    ssh: bool,
}

/// How things stand in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Health {
    /// As it should be.
    Good,
    /// Works, and may not for long, or not as well as it could.
    Doubtful,
    /// Does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at: `secret`, `journal`, …
    about: &'static str,
    health: Health,
    /// What was found.
    found: String,
    /// What to do about it, where there is something to do.
    advice: Option<String>,
}

impl Finding {
    fn good(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, health: Health::Good, found: found.into(), advice: None }
    }

    fn doubtful(about: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { about, health: Health::Doubtful, found: found.into(), advice: Some(advice.into()) }
    }

    fn bad(about: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { about, health: Health::Bad, found: found.into(), advice: Some(advice.into()) }
    }
}

impl Doctor {
    pub(super) fn run(self, config: &Path) -> Exit {
        let config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let runtime = match setup::runtime() {
            Ok(runtime) => runtime,
            Err(exit) => return exit,
        };
        let mut findings = vec![Finding::good("config", format!("{} is valid", config.file.display()))];
        let (found, rules) = rules(&config);
        findings.push(found);
        findings.extend(files::secrets(&config));
        findings.extend(files::key(&config));
        findings.extend(files::data(&config));
        findings.extend(journal::look(&config));
        findings.extend(network::listener(&config));
        if let Some(unreachable) = network::name_services() {
            // Asking anything by a name would end this program, as it would the daemon.
            findings.push(unreachable);
        } else {
            findings.extend(network::flashduty(&config, &runtime));
        }
        findings.extend(rules.iter().flat_map(|rules| hosts::look(&config, rules, self.ssh, &runtime)));
        findings.extend(daemon::ask(&config));

        match self.format {
            OutputFormat::Json => json(&findings),
            OutputFormat::Human => findings.iter().for_each(say_finding),
        }
        if findings.iter().any(|finding| finding.health == Health::Bad) { Exit::No } else { Exit::Done }
    }
}

fn rules(config: &crate::config::Config) -> (Finding, Option<RuleSet>) {
    let set = load(config, 1).set;
    let finding = match &set {
        Some(set) => Finding::good(
            "rules",
            match set.rules.len() {
                1 => "1 rule loads".to_owned(),
                count => format!("{count} rules load"),
            },
        ),
        None => Finding::bad("rules", "the rules have errors", "run `stanch check`, which shows each with its place"),
    };
    (finding, set)
}

fn say_finding(finding: &Finding) {
    let (mark, colour) = match finding.health {
        Health::Good => ("ok  ", anstyle::AnsiColor::Green),
        Health::Doubtful => ("note", anstyle::AnsiColor::Yellow),
        Health::Bad => ("BAD ", anstyle::AnsiColor::Red),
    };
    let (style, reset) = (colour.on_default().bold(), anstyle::Reset);
    say(&format!("{style}{mark}{reset}  {:<10} {}", finding.about, printable(&finding.found)));
    if let Some(advice) = &finding.advice {
        say(&format!("                 → {}", printable(advice)));
    }
}
