//! `stanch explain`: for one event, every rule: matched or why not, which guard objected, what would be done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstyle::AnsiColor;
use clap::Args;
use serde::Serialize;

use super::output::{OutputFormat, answered, cell, complain, say};
use super::{Exit, setup};
use crate::admin::views::DecisionView;
use crate::clock::wall_now;
use crate::config::Config;
use crate::decide::explain::{Explanation, GuardExplanation, RuleExplanation, WhenExplanation};
use crate::engine::{Options, settings};
use crate::event;
use crate::journal::FILE_NAME;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::replay::explain::{Case, On};
use crate::replay::{Budget, Folded, ReplayError};
use crate::report::printable;
use crate::rule::sandbox::{Part, Verdict};

/// The word of a guard that has nothing against it.
const PASS: &str = "pass";
/// The largest event file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// For one event, every rule: matched or why not, which guard objected, what would be done.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A file with the body of a push.
    #[arg(required_unless_present = "event", conflicts_with = "event")]
    file: Option<PathBuf>,
    /// The id of an event in the journal.
    #[arg(long, value_name = "EVENT_ID")]
    event: Option<String>,
    /// Only this rule.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// On today's history, where the one just before the recorded event is the default.
    #[arg(long, conflicts_with = "file")]
    now: bool,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer {
    /// What was decided when the event came, where it is a recorded one.
    recorded: Option<DecisionView>,
    /// What the current rules say.
    current: Explanation,
}

impl Explain {
    pub(super) fn run(self, config: &Path) -> Exit {
        answered(self.answer(config), self.format, show)
    }

    fn answer(&self, config: &Path) -> Result<Answer, Exit> {
        let config = setup::config(config)?;
        let rules = setup::rules(&config)?;
        if let Some(id) = &self.rule
            && rules.get(&crate::rule::RuleId::new(id.as_str())).is_none()
        {
            complain(&format!("there is no rule {}", printable(id)));
            return Err(Exit::No);
        }
        let case = match (&self.file, &self.event) {
            (Some(file), _) => of_file(file, &config)?,
            (None, id) => self.of_journal(id.as_deref().unwrap_or_default(), &config)?,
        };
        let settings = settings(&config, &Options::of_reader());
        let only = self.rule.as_deref();
        let mut recorded = case.decision.as_ref().and_then(DecisionView::of);
        if let (Some(recorded), Some(only)) = (&mut recorded, only) {
            recorded.rules.retain(|rule| rule.rule == only);
        }
        Ok(Answer { recorded, current: case.ask(&rules, &settings, only) })
    }

    /// A recorded event, asked on the history just before it was decided, or on today's.
    fn of_journal(&self, id: &str, config: &Config) -> Result<Case, Exit> {
        let found = Reader::open(&config.data.join(FILE_NAME)).map_err(ReplayError::from).and_then(|reader| {
            let mut fold = |before| fold(&reader, before, config);
            let on = if self.now { On::Now(Box::new(fold(u64::MAX)?)) } else { On::Then(&mut fold) };
            Case::recorded(&reader, id, wall_now(), on)
        });
        match found {
            Ok(Some(case)) => Ok(case),
            Ok(None) => {
                complain(&format!("there is no event {} with a body in the journal", printable(id)));
                Err(Exit::No)
            }
            Err(error) => Err(journal_error(&error)),
        }
    }
}

fn journal_error(error: &ReplayError) -> Exit {
    complain(&error.to_string());
    Exit::Journal
}

/// All that the journal holds before a record.
fn fold(reader: &Reader, before: u64, config: &Config) -> Result<History, ReplayError> {
    Ok(Folded::up_to(reader, before, config.strict_ordering, None, &Budget::unlimited())?.history)
}

/// A push in a file, asked on what the journal holds, if there is one, as if it came now.
fn of_file(file: &Path, config: &Config) -> Result<Case, Exit> {
    let fail = |why: String| {
        complain(&format!("cannot explain {}: {why}", file.display()));
        Exit::No
    };
    let size = std::fs::metadata(file).map_err(|error| fail(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(fail(format!("it has {size} bytes, and {FILE_BYTES_MAX} is the limit")));
    }
    let body = std::fs::read(file).map_err(|error| fail(error.to_string()))?;
    let source: Arc<str> = config.sources.first().map_or("file", |source| source.name.as_str()).into();
    let now = wall_now();
    let event = event::read(body.into(), source, now).map_err(|error| fail(error.to_string()))?;
    let journal = config.data.join(FILE_NAME);
    let ask = || {
        let reader = journal.exists().then(|| Reader::open(&journal)).transpose()?;
        let history = reader.as_ref().map(|reader| fold(reader, u64::MAX, config)).transpose()?;
        Case::of_push(event, history.unwrap_or_default(), now, reader.as_ref())
    };
    ask().map_err(|error| journal_error(&error))
}

fn show(answer: &Answer) {
    let current = &answer.current;
    say(&format!("event {}  {}", cell(&current.event, 128), printable(&current.event_type)));
    if let Some(title) = &current.title {
        say(&format!("  {}", cell(title, 200)));
    }
    if let Some(recorded) = &answer.recorded {
        say("");
        say(&format!("recorded {} by rule set {}:", recorded.at, recorded.generation));
        if let Some(newest) = recorded.late_since {
            say(&format!("  late: a newer event, of {newest}, came before"));
        } else if recorded.rules.is_empty() {
            say("  it concerned no rule that was asked for");
        }
        for rule in &recorded.rules {
            let reason = rule.reason.as_deref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
            let until = rule.until.map(|until| format!(" (until {until})")).unwrap_or_default();
            say(&format!("  {}: {}{reason}{until}", rule.rule, rule.outcome));
        }
        say("");
        say("the current rules say:");
    }
    if let Some(newest) = current.late_since {
        say(&format!("  late: a newer event of the same entity, of {newest}, came before"));
    }
    if current.rules.is_empty() {
        say("  there is no rule to ask");
    }
    current.rules.iter().for_each(show_rule);
}

fn show_rule(rule: &RuleExplanation) {
    let (style, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    let owner = rule.owner.as_deref().map(|owner| format!(", owner {}", printable(owner))).unwrap_or_default();
    say("");
    say(&format!("{style}{}{reset}: {} (mode {}, {}{owner})", rule.rule, rule.outcome, rule.mode, rule.place));
    if let Some(reason) = &rule.reason {
        let until = rule.until.map(|until| format!(" (until {until})")).unwrap_or_default();
        say(&format!("  {}{until}", printable(reason)));
    }
    for clause in &rule.clauses {
        let verb = if clause.holds { "is" } else { "but sees" };
        let text = format!("{} {}, {verb} {}", clause.clause, printable(&clause.expected), printable(&clause.seen));
        say(&format!("  {} {text}", mark(Some(clause.holds))));
    }
    if let Some(when) = &rule.when {
        show_when(when);
    }
    show_guards(&rule.guards);
    if let Some(target) = &rule.target {
        say(&format!("  target {}", cell(target, 200)));
    }
    if let Some(plan) = &rule.plan {
        say(if rule.outcome == "suppressed" { "  plan, if nothing objected:" } else { "  plan:" });
        let text = serde_json::to_string_pretty(plan).unwrap_or_default();
        text.lines().for_each(|line| say(&format!("    {}", printable(line))));
    }
}

fn show_when(when: &WhenExplanation) {
    let error = when.error.as_deref().map(|error| format!(": {}", printable(error))).unwrap_or_default();
    let is_one_line = !when.source.trim().contains('\n');
    let source = if is_one_line { format!(" {}", cell(when.source.trim(), 200)) } else { String::new() };
    say(&format!("  {} when{source}{error}", mark(when.holds)));
    // A single part repeats the whole; what it read is still news.
    let (indent, parts): (usize, &[Part]) = match when.parts.as_slice() {
        [only] if is_one_line => {
            only.seen.iter().for_each(|seen| say(&format!("      {}", printable(&seen.to_string()))));
            return;
        }
        [whole, parts @ ..] if !parts.is_empty() && is_one_line => (whole.depth, parts),
        parts => (0, parts),
    };
    for part in parts {
        let margin = "  ".repeat((part.depth + 1).saturating_sub(indent) + 1);
        let (holds, error) = match &part.verdict {
            Verdict::True => (Some(true), ""),
            Verdict::False => (Some(false), ""),
            Verdict::Error(message) => (None, message.as_str()),
            Verdict::NotAsked => {
                say(&format!("{margin}· {}, not asked", printable(&part.expression)));
                continue;
            }
        };
        let seen: Vec<String> = part.seen.iter().map(ToString::to_string).collect();
        let details: Vec<&str> =
            [error].into_iter().chain(seen.iter().map(String::as_str)).filter(|text| !text.is_empty()).collect();
        let details = if details.is_empty() { String::new() } else { format!(": {}", details.join(", ")) };
        say(&format!("{margin}{} {}{}", mark(holds), printable(&part.expression), printable(&details)));
    }
}

/// Those that do not simply pass, each with its reason; the others in one line.
fn show_guards(guards: &[GuardExplanation]) {
    for guard in guards.iter().filter(|guard| guard.verdict != PASS) {
        let reason = guard.reason.as_deref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        let until = guard.until.map(|until| format!(" (until {until})")).unwrap_or_default();
        let mark = if guard.verdict == "object" { mark(Some(false)) } else { mark(None) };
        let verdict = if guard.verdict == "object" { "objects" } else { guard.verdict.as_str() };
        say(&format!("  {mark} guard {} {verdict}{reason}{until}", guard.guard));
    }
    let passing: Vec<&str> =
        guards.iter().filter(|guard| guard.verdict == PASS).map(|guard| guard.guard.as_str()).collect();
    if !passing.is_empty() {
        say(&format!("  {} guards that pass: {}", mark(Some(true)), passing.join(", ")));
    }
}

/// A coloured sign for what holds, what does not, and what is neither.
fn mark(holds: Option<bool>) -> String {
    let (colour, sign) = match holds {
        Some(true) => (AnsiColor::Green, '✓'),
        Some(false) => (AnsiColor::Red, '✗'),
        None => (AnsiColor::Yellow, '!'),
    };
    format!("{}{sign}{}", colour.on_default(), anstyle::Reset)
}
