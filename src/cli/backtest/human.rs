//! The report of a backtest for people.

use std::io::IsTerminal as _;

use crate::cli::output::{cell, say, table};
use crate::clock::Timestamp;
use crate::replay::backtest::Answer;
use crate::report::printable;
use crate::rule::duration;
use crate::simulate::backtest::{Approvals, Change, DifferenceReport, Hour, Missing, RuleReport, SideReport};

/// How many targets of a rule are named in the table.
const TARGETS_NAMED: usize = 3;
/// How many columns the chart has at most.
const CHART_COLUMNS: usize = 72;
/// How many of the busiest hours are listed.
const HOURS_LISTED: usize = 5;
/// Eighths of a block, from none to all.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// An hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;

pub(super) fn show(answer: &Answer) {
    let report = &answer.report;
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    match (report.first_at, report.last_at) {
        (Some(first), Some(last)) => {
            say(&format!("{bold}{} events{reset}, received from {first} to {last}", report.events));
        }
        _ => say("no event of the journal lies in the window"),
    }
    if let Some(missing) = &report.without_body {
        say(&without_body(missing));
    }
    if answer.window.kept_from_seq > 1 {
        say(&format!(
            "  the journal begins at record {}: retention let the earlier ones go",
            answer.window.kept_from_seq
        ));
    }
    let lasts = match report.model.takes {
        takes if takes.is_zero() => "at once".to_owned(),
        takes => format!("after {}", duration::show(takes)),
    };
    let approvals = match report.model.approvals {
        Approvals::Granted => "are given at once",
        Approvals::Never => "are never given",
    };
    say(&format!("  runs are taken to succeed {lasts}; approvals {approvals}"));
    side("the rule set that was tried would have done", &report.tried);
    if let Some(against) = &report.against {
        side(&format!("{} would have done", printable(&answer.compared_with)), against);
    }
    let other = match &report.against {
        None => "what was done".to_owned(),
        Some(_) => printable(&answer.compared_with).into_owned(),
    };
    differences(&report.difference, &other);
}

fn without_body(missing: &Missing) -> String {
    let Missing { count, first, last } = missing;
    let named = |at: &crate::simulate::backtest::EventAt| format!("{} ({})", cell(at.event.as_str(), 64), at.at);
    let which = if *count == 1 { named(first) } else { format!("from {} to {}", named(first), named(last)) };
    format!(
        "  {count} more have no body any more, which retention took away, so nothing could be decided on them: {which}"
    )
}

fn side(title: &str, report: &SideReport) {
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    say("");
    say(&format!("{bold}{title}{reset}"));
    if report.rules.is_empty() {
        say("  nothing: there is no rule to ask");
        return;
    }
    let rows: Vec<Vec<String>> = report.rules.iter().map(row).collect();
    table(&["RULE", "MODE", "RUNS", "DRY-RUNS", "HELD", "ASKED", "SUPPRESSED", "ERRORS", "TARGETS"], &rows);
    for rule in &report.rules {
        details(rule);
    }
    if report.late > 0 {
        say(&format!("{} events were late: a newer one of the same incident or alert came before", report.late));
    }
    chart(&report.hours);
}

fn row(rule: &RuleReport) -> Vec<String> {
    let named: Vec<String> = rule
        .top_targets
        .iter()
        .take(TARGETS_NAMED)
        .map(|target| format!("{} ×{}", cell(&target.target, 40), target.runs))
        .collect();
    let more = rule.targets.saturating_sub(named.len() as u64);
    let targets = match (named.is_empty(), more) {
        (true, _) => "-".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{}, {more} more", named.join(", ")),
    };
    let suppressed: u64 = rule.suppressed.values().sum();
    let counts = [rule.runs, rule.dry_runs, rule.held, rule.awaiting_approval, suppressed];
    let errors = rule.condition_errors + rule.plan_errors;
    let mut row = vec![rule.rule.to_string(), rule.mode.to_string()];
    row.extend(counts.into_iter().chain([errors]).map(|count| count.to_string()));
    row.push(targets);
    row
}

/// What does not fit the table.
fn details(rule: &RuleReport) {
    let list = |counts: Vec<String>| counts.join(", ");
    if !rule.suppressed.is_empty() {
        let by = rule.suppressed.iter().map(|(guard, count)| format!("{} ×{count}", printable(guard)));
        say(&format!("  {}: suppressed by {}", rule.rule, list(by.collect())));
    }
    if !rule.never_acted.is_empty() {
        let ends = rule.never_acted.iter().map(|(end, count)| format!("{end} ×{count}"));
        say(&format!("  {}: waited and never acted: {}", rule.rule, list(ends.collect())));
    }
    if let Some(error) = &rule.first_error {
        let (event, message) = (cell(error.event.as_str(), 64), cell(&error.message, 200));
        say(&format!("  {}: first error, at event {event}: {message}", rule.rule));
    }
}

/// The blast radius: how many targets would be acted upon in an hour.
fn chart(hours: &[Hour]) {
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return };
    say("");
    say("targets acted upon, by hour:");
    if std::io::stdout().is_terminal() {
        say(&format!("  {}", bars(hours, first.at, last.at)));
        say(&format!("  {} … {}", first.at, last.at));
    }
    let mut busiest: Vec<&Hour> = hours.iter().collect();
    busiest.sort_by_key(|hour| (std::cmp::Reverse((hour.targets, hour.runs)), hour.at));
    for hour in busiest.into_iter().take(HOURS_LISTED) {
        say(&format!("  {}  {} targets, {} runs", hour.at, hour.targets, hour.runs));
    }
    if hours.len() > HOURS_LISTED {
        say(&format!("  {} more hours with fewer", hours.len() - HOURS_LISTED));
    }
}

/// One column for so many hours that all fit; each is as high as the busiest of its hours.
fn bars(hours: &[Hour], first: Timestamp, last: Timestamp) -> String {
    let index = |at: Timestamp| usize::try_from((at.as_millis() - first.as_millis()) / HOUR_MS).unwrap_or(0);
    let width = index(last) + 1;
    let a_column = width.div_ceil(CHART_COLUMNS);
    let mut columns = vec![0u64; width.div_ceil(a_column)];
    for hour in hours {
        if let Some(column) = columns.get_mut(index(hour.at) / a_column) {
            *column = (*column).max(hour.targets);
        }
    }
    let most = columns.iter().copied().max().unwrap_or(1).max(1);
    let bar = |targets: u64| {
        // What is there at all is seen.
        let eighths = (targets * 8).div_ceil(most);
        BARS.get(usize::try_from(eighths).unwrap_or(8)).copied().unwrap_or(' ')
    };
    columns.into_iter().map(bar).collect()
}

fn differences(report: &DifferenceReport, other: &str) {
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    say("");
    say(&format!("{bold}compared with {other}{reset}: {} the same", report.same));
    if report.differs.is_empty() {
        say("  nothing is different");
    }
    for one in &report.differs {
        let (mark, words) = match one.change {
            Change::Added => ("+", "would act, and the other does not"),
            Change::Removed => ("-", "would not act, and the other does"),
            Change::OtherTarget => ("~", "would act on another target"),
            Change::NowActs => ("+", "would act where the other only shows it"),
            Change::NowShown => ("-", "would only show what the other does"),
        };
        say(&format!("{mark} {}: {words} ×{}", one.rule, one.count));
        for example in &one.examples {
            let (event, target) = (cell(example.event.as_str(), 64), cell(&example.target, 64));
            let other = example.other_target.as_deref();
            let instead = other.map(|other| format!(" instead of {}", cell(other, 64))).unwrap_or_default();
            say(&format!("    {}  {event} on {target}{instead}", example.at));
        }
        let more = one.count.saturating_sub(one.examples.len() as u64);
        if more > 0 {
            say(&format!("    {more} more"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_and_show_what_is_small() {
        let at = |hour: i64| Timestamp::from_millis(hour * HOUR_MS);
        let hour = |n: i64, targets: u64| Hour { at: at(n), targets, runs: targets };
        assert_eq!(bars(&[hour(0, 1), hour(2, 80)], at(0), at(2)), "▁ █");
        let long = [hour(0, 3), hour(719, 3)];
        assert_eq!(bars(&long, at(0), at(719)).chars().count(), CHART_COLUMNS);
    }
}
