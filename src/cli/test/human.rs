//! Results for people: a line for each test, and a diff for each that failed.

use anstyle::{AnsiColor, Reset, Style};

use super::Answer;
use crate::cli::output::say;
use crate::report::printable;
use crate::simulate::{Finding, Problem, TestResult};

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const RED_BOLD: Style = AnsiColor::Red.on_default().bold();

pub(super) fn show(answer: &Answer<'_>) {
    answer.tests.iter().for_each(test);
    if !answer.tests.is_empty() {
        say("");
    }
    if !answer.untested.is_empty() {
        say("rules without a test:");
        for (rule, place) in &answer.untested {
            say(&format!("  {rule}  {}", printable(place)));
        }
        say("");
    }
    say(&format!("{} passed, {} failed", answer.passed, answer.failed));
}

fn test(result: &TestResult) {
    let (word, style) = if result.passed { ("ok  ", GREEN) } else { ("FAIL", RED_BOLD) };
    let place = result.place.to_string();
    say(&format!("{style}{word}{Reset}  {}  ({})", printable(&result.name), printable(&place)));
    if result.passed {
        return;
    }
    for problem in &result.problems {
        lines(problem).into_iter().for_each(|(style, line)| say(&format!("      {style}{line}{style:#}")));
    }
    if result.findings.is_empty() {
        say("      nothing came of it");
    } else {
        say("      what came of it:");
        result.findings.iter().for_each(|finding| say(&format!("        {}", in_words(finding))));
    }
}

/// A problem in lines without anything that steers a terminal, with the style of each.
pub(super) fn lines(problem: &Problem) -> Vec<(Style, String)> {
    let place = problem.place.to_string();
    let mut lines = vec![(Style::new(), format!("{}: {}", printable(&place), printable(&problem.message)))];
    for difference in &problem.differences {
        lines.push((RED, format!("  - {}: {}", difference.what, printable(&difference.expected))));
        lines.push((GREEN, format!("  + {}: {}", difference.what, printable(&difference.actual))));
    }
    lines
}

/// A finding in one line without anything that steers a terminal.
pub(super) fn in_words(finding: &Finding) -> String {
    let mut line = format!("event {} at {}: ", finding.event + 1, finding.at);
    if let Some(rule) = &finding.rule {
        line.push_str(&format!("rule {rule}, "));
    }
    line.push_str(finding.outcome);
    if let Some(target) = &finding.target {
        line.push_str(&format!(" on {}", printable(target)));
    }
    if let Some(reason) = &finding.reason {
        line.push_str(&format!(" ({})", printable(reason)));
    }
    if let Some(until) = finding.until {
        line.push_str(&format!(", until {until}"));
    }
    line
}
