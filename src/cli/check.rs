//! `stanch check`: every problem of config, rules and scripts at once.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::{complain, hide_secrets_of, note, say, wants_colour};
use super::{Exit, setup};
use crate::config::Config;
use crate::config::load::{InvalidConfig, LoadedConfig, Places};
use crate::config::secret::Problem;
use crate::engine::event_of;
use crate::journal::FILE_NAME;
use crate::journal::read::Reader;
use crate::journal::store::StoreError;
use crate::receiver;
use crate::report::printable;
use crate::rule::diagnostic::{Diagnostic, Format, Severity, Sources, codes, render};
use crate::rule::load::{Loaded, Summary, check};
use crate::rule::vocabulary::Vocabulary;

/// How many of the newest pushes are looked at for names of labels and channels.
const PUSHES_MAX: usize = 2000;
/// How many names a line of the summary lists.
const LISTED_MAX: usize = 20;
/// What rules are refused for because of what the config says, which is not known where that has errors.
const OF_THE_CONFIG: &[&str] = &[codes::UNKNOWN_SOURCE, codes::UNKNOWN_SCHEDULE, codes::HTTP_NOT_ALLOWED];

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
        let read = match crate::config::load::load(config) {
            Ok(loaded) => Read::of_valid(loaded),
            Err(mut invalid) => match invalid.partial.take() {
                Some(partial) => Read::of_invalid(*partial, invalid),
                None => {
                    self.print(&render(format, &invalid.diagnostics, &invalid.sources));
                    return Exit::Config;
                }
            },
        };
        let Read { config, is_valid, mut diagnostics, mut sources, places } = read;
        hide_secrets_of(&config);
        let unusable = unusable(&config, &places);
        let is_usable = unusable.is_empty();
        diagnostics.extend(unusable);
        let loaded = check(&config, &self.paths, &self.seen(&config));
        let Loaded { set, diagnostics: of_rules, sources: of_texts, summary, .. } = loaded;
        diagnostics.extend(of_rules.into_iter().filter(|found| is_valid || !OF_THE_CONFIG.contains(&found.code)));
        sources.extend(of_texts);
        check_texts(&config, &sources, &mut diagnostics);
        let errors = setup::count(&diagnostics, Severity::Error);
        let warned = setup::count(&diagnostics, Severity::Warning);
        if !diagnostics.is_empty() || self.format == CheckFormat::Json {
            self.print(&render(format, &diagnostics, &sources));
        }
        if self.format == CheckFormat::Human {
            say(&conclusion(&summary, errors, warned));
            coverage(&summary);
        }
        let denied = self.deny == Some(Deny::Warnings) && warned > 0;
        if !is_valid || !is_usable {
            Exit::Config
        } else if set.is_none() || errors > 0 || denied {
            Exit::No
        } else {
            Exit::Done
        }
    }

    /// What the newest pushes of the journal had, if there is one.
    fn seen(&self, config: &Config) -> Vocabulary {
        let journal = config.data.join(FILE_NAME);
        if !journal.exists() {
            return Vocabulary::default();
        }
        learn(&journal).unwrap_or_else(|error| {
            complain(&format!("names are not compared with those that pushes had: {error}"));
            Vocabulary::default()
        })
    }

    /// Problems are the result of machine formats, and a remark beside the result for people.
    fn print(&self, text: &str) {
        match self.format {
            CheckFormat::Human => note(text.trim_end()),
            CheckFormat::Json | CheckFormat::Github => say(text.trim_end()),
        }
    }
}

/// A config as far as it could be read.
struct Read {
    config: Config,
    is_valid: bool,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    places: Places,
}

impl Read {
    fn of_valid(loaded: LoadedConfig) -> Self {
        let LoadedConfig { config, warnings: diagnostics, sources, places } = loaded;
        Self { config, is_valid: true, diagnostics, sources, places }
    }

    fn of_invalid(config: Config, invalid: InvalidConfig) -> Self {
        let InvalidConfig { diagnostics, sources, places, .. } = invalid;
        Self { config, is_valid: false, diagnostics, sources, places }
    }
}

/// Reads every secret and the certificate, as the daemon would, and says which cannot be used.
fn unusable(config: &Config, places: &Places) -> Vec<Diagnostic> {
    let at = |code, message, place: &Range<usize>| Diagnostic {
        span: place.clone(),
        ..Diagnostic::of_file(code, &config.file, message, None)
    };
    let mut found = Vec::new();
    for (secret, place) in &places.secrets {
        let Err(error) = secret.resolve() else { continue };
        // The daemon's unit alone has its credentials, so that they are not here says nothing.
        if matches!(error.problem, Problem::NoCredentials) {
            note(&format!("the secret in {secret} is for the daemon's unit alone, so it was not looked at"));
            continue;
        }
        found.push(at(codes::SECRET_UNUSABLE, error.to_string(), place));
    }
    if let (Some(tls), Some(place)) = (&config.tls, &places.tls)
        && let Err(error) = receiver::check_tls(tls)
    {
        found.push(at(codes::TLS_UNUSABLE, error.to_string(), place));
    }
    found
}

/// Points out where a rule, a script or the config has a secret in its text that the config keeps elsewhere.
fn check_texts(config: &Config, sources: &Sources, diagnostics: &mut Vec<Diagnostic>) {
    for secret in config.secrets().into_iter().filter_map(|secret| secret.resolve().ok()) {
        for (path, text) in sources.iter() {
            for (at, _) in text.match_indices(secret.expose()) {
                let message = "a secret of the config stands here for everybody to read";
                let hint = "let a script of yours read it from where the config does, and change the secret";
                let mut found = Diagnostic::of_file(codes::INLINE_SECRET, path, message, Some(hint.to_owned()));
                found.severity = Severity::Warning;
                found.span = at..at;
                diagnostics.push(found);
            }
        }
    }
}

fn learn(journal: &Path) -> Result<Vocabulary, StoreError> {
    let mut seen = Vocabulary::default();
    let reader = Reader::open(journal)?;
    for push in reader.pushes_before(i64::MAX.unsigned_abs(), PUSHES_MAX)? {
        // Bodies are read one at a time: all of them could be large.
        if let Some(event) = reader.push_at(push.seq)?.as_ref().and_then(event_of) {
            seen.learn(&event);
        }
    }
    Ok(seen)
}

/// What the rules cover, line by line.
fn coverage(summary: &Summary) {
    if summary.rules == 0 {
        return;
    }
    let counted = |counts: &mut dyn Iterator<Item = (String, usize)>| {
        cut(counts.map(|(name, count)| format!("{name} {count}")).collect())
    };
    let modes = counted(&mut summary.modes.iter().map(|(mode, count)| (mode.to_string(), *count)));
    let of = |counts: &std::collections::BTreeMap<String, usize>| {
        let mut sorted: Vec<(String, usize)> = counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
        // The most covered first; the names are sorted already.
        sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counted(&mut sorted.into_iter())
    };
    say(&format!("  modes       {modes}"));
    say(&format!("  events      {}", of(&summary.by_event)));
    say(&format!("  channels    {}", of(&summary.by_channel)));
    say(&format!("  severities  {}", of(&summary.by_severity)));
    let untested: Vec<String> = summary.untested.iter().cloned().collect();
    if !untested.is_empty() {
        say(&format!("  untested    {}: {}", untested.len(), cut(untested)));
    }
}

/// A list in one line, not too long, without anything that steers a terminal.
fn cut(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    let text = printable(&names.join(", ")).into_owned();
    if more > 0 { format!("{text}, and {more} more") } else { text }
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
    if texts.is_empty() { "(none)".into() } else { cut(texts) }
}
