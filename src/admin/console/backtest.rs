//! What the rules in force would have done with what came in, as charts with tables beside them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{Axis, balance, columns, parts};
use super::text::{badge, link, path, shown, time};
use super::{Page, Shown, Visit};
use crate::admin::api::backtest::{Asked, try_out};
use crate::clock::Timestamp;
use crate::replay::backtest::Answer;
use crate::simulate::backtest::{Approvals, Change, Differs, Report, RuleReport};

/// The spans that are offered.
const SPANS: &[(&str, &str)] = &[("1d", "the last day"), ("7d", "the last 7 days"), ("30d", "the last 30 days")];
/// How many rules have a chart over time: those that act the most.
const CHARTS_MAX: usize = 12;
/// How many rules a table has, those with the most to tell first. All of them are in the API's answer.
const ROWS_MAX: usize = 100;
/// What became of a rule's events: the kind of the bar, the heading, and how often.
type Outcome = (&'static str, &'static str, fn(&RuleReport) -> u64);
/// Each outcome that is counted, in the order of the bars.
const OUTCOMES: &[Outcome] = &[
    ("act", "Runs", |rule| rule.runs),
    ("dry", "Dry-runs", |rule| rule.dry_runs),
    ("wait", "Held", |rule| rule.held),
    ("ask", "Asked", |rule| rule.awaiting_approval),
    ("off", "Suppressed", |rule| rule.suppressed.values().sum()),
    ("bad", "Errors", |rule| rule.condition_errors + rule.plan_errors),
];

/// The page: a form, and what came of it once it is sent.
pub(super) async fn show(visit: &Visit) -> Shown {
    let tried = match visit.query.text("since") {
        Some(_) => Some(try_out(&visit.desk, Asked::of(&visit.query)?).await?),
        None => None,
    };
    let content = html! {
        p.lead { "What the rules in force would have done with the events that the journal holds. Nothing is executed." }
        (form(visit))
        @match &tried {
            Some(answer) => (result(answer)),
            None => p.quiet { "It takes a few seconds, and up to half a minute where the journal is large." },
        }
    };
    Ok(Page { title: "Backtest".into(), content })
}

fn form(visit: &Visit) -> Markup {
    let chosen = |name: &str, value: &str, default: &str| visit.query.text(name).unwrap_or(default) == value;
    html! {
        form.card method="get" action="/backtest" {
            div.field {
                label for="since" { "Events of" }
                select #since name="since" {
                    @for (value, name) in SPANS { option value=(value) selected[chosen("since", value, "7d")] { (name) } }
                }
            }
            div.field {
                label for="approvals" { "What asks people" }
                select #approvals name="approvals" {
                    @for (value, name) in [("granted", "is allowed at once"), ("never", "is never allowed")] {
                        option value=(value) selected[chosen("approvals", value, "granted")] { (name) }
                    }
                }
            }
            button.primary type="submit" { "Try the rules" }
        }
    }
}

fn result(answer: &Answer) -> Markup {
    let report = &answer.report;
    let (Some(first), Some(last)) = (report.first_at, report.last_at) else {
        return html! { p.notice role="status" { "No event of the journal lies in that time." } };
    };
    let mut rules: Vec<&RuleReport> = report.tried.rules.iter().collect();
    rules.sort_by_key(|rule| std::cmp::Reverse((rule.runs + rule.dry_runs, total(rule))));
    html! {
        div #tried role="status" {
            p {
                strong { (report.events) " events" } ", received from " (time(first)) " to " (time(last)) ". "
                "Runs are taken to succeed at once; what asks people is "
                @match report.model.approvals { Approvals::Granted => "allowed at once.", Approvals::Never => "never allowed." }
            }
            @if let Some(missing) = &report.without_body {
                p { (missing.count) " more have no body any more, which retention took away: nothing could be decided on them." }
            }
            @if report.tried.late > 0 { p { (report.tried.late) " of them were late: a newer one of the same incident or alert came before." } }
        }
        (over_time(answer, &rules, last))
        (outcomes(&rules))
        (difference(report))
    }
}

fn runs(count: u64) -> String {
    if count == 1 { "1 run".into() } else { format!("{count} runs") }
}

/// What becomes of all events that a rule concerns.
fn total(rule: &RuleReport) -> u64 {
    OUTCOMES.iter().map(|(_, _, count)| count(rule)).sum()
}

/// How often each rule would have acted, over time.
fn over_time(answer: &Answer, rules: &[&RuleReport], last: Timestamp) -> Markup {
    let report = &answer.report;
    let acting: Vec<&RuleReport> = rules.iter().copied().filter(|rule| !rule.hours.is_empty()).collect();
    let charted = acting.get(..acting.len().min(CHARTS_MAX)).unwrap_or_default();
    // What waits for long acts after the last event came.
    let ends = acting.iter().filter_map(|rule| rule.hours.last()).map(|hour| hour.at).max();
    let from = answer.window.since.or(report.first_at).unwrap_or(last);
    let axis = Axis::of(from, ends.map_or(last, |end| end.max(last)));
    let counts: Vec<(&RuleReport, Vec<u64>)> = charted.iter().map(|rule| (*rule, axis.counts(&rule.hours))).collect();
    let most = counts.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0);
    html! {
        section aria-labelledby="over-time" {
            h2 #over-time { "Runs over time" }
            @if counts.is_empty() { p { "No rule would have acted." } }
            @else {
                p.quiet { "A column is " (axis.column()) "; the highest stands for " (runs(most)) ". Dry-runs count." }
                @for (rule, counts) in &counts {
                    figure.chart {
                        figcaption { (link("rules", rule.rule.as_str())) " " span.quiet { (runs(counts.iter().sum())) } }
                        (columns(counts, most, &in_words(rule, counts, &axis)))
                    }
                }
                p.row.axis { (time(axis.begins(0))) (time(last)) }
                @if acting.len() > charted.len() {
                    p.quiet { (acting.len() - charted.len()) " more rules would have acted less: they are in the table below." }
                }
                details { summary { "Runs over time as a table" } (as_table(&counts, &axis)) }
            }
        }
    }
}

/// What a chart shows, for whoever does not see it.
fn in_words(rule: &RuleReport, counts: &[u64], axis: &Axis) -> String {
    let all: u64 = counts.iter().sum();
    let most = counts.iter().enumerate().max_by_key(|(nth, count)| (**count, std::cmp::Reverse(*nth)));
    let busiest =
        most.map(|(nth, count)| format!("; the most, {count}, in {} from {}", axis.column(), axis.begins(nth)));
    format!("{}: {}{}", shown(rule.rule.as_str()), runs(all), busiest.unwrap_or_default())
}

fn as_table(counts: &[(&RuleReport, Vec<u64>)], axis: &Axis) -> Markup {
    let columns = counts.iter().map(|(_, counts)| counts.len()).max().unwrap_or(0);
    let count = |counts: &[u64], nth: usize| counts.get(nth).copied().unwrap_or(0);
    html! {
        div.wide tabindex="0" role="region" aria-label="Table of runs over time" {
            table {
                caption { "Runs of each rule in " (axis.column()) " from the time given; times in which nothing acts are left out" }
                thead { tr { th scope="col" { "From" } @for (rule, _) in counts { th.number scope="col" { (shown(rule.rule.as_str())) } } } }
                tbody {
                    @for nth in 0..columns {
                        @if counts.iter().any(|(_, counts)| count(counts, nth) > 0) {
                            tr {
                                th scope="row" { (time(axis.begins(nth))) }
                                @for (rule, counts) in counts {
                                    td.number data-label=(shown(rule.rule.as_str())) { (count(counts, nth)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What became of the events that each rule concerns.
fn outcomes(rules: &[&RuleReport]) -> Markup {
    let rows = rules.get(..rules.len().min(ROWS_MAX)).unwrap_or_default();
    let most = rows.iter().map(|rule| total(rule)).max().unwrap_or(0);
    html! {
        section aria-labelledby="outcomes" {
            h2 #outcomes { "Outcomes" }
            @if rows.is_empty() { p { "There is no rule to ask." } }
            @else {
                table {
                    caption { "What would have become of the events that each rule concerns" }
                    thead {
                        tr {
                            th scope="col" { "Rule" }
                            @for (kind, name, _) in OUTCOMES {
                                th.number scope="col" { span.swatch.(kind) {} (name) }
                            }
                            th.number scope="col" { "Targets" }
                        }
                    }
                    tbody {
                        @for rule in rows {
                            tr {
                                th scope="row" {
                                    (link("rules", rule.rule.as_str())) " " (badge(&rule.mode.to_string()))
                                    (parts(&OUTCOMES.iter().map(|(kind, _, count)| (*kind, count(rule))).collect::<Vec<_>>(), most))
                                    @if let Some(error) = &rule.first_error {
                                        span.reason { "first error, at " (link("events", error.event.as_str())) ": " (shown(&error.message)) }
                                    }
                                }
                                @for (_, name, count) in OUTCOMES { td.number data-label=(name) { (count(rule)) } }
                                td.number data-label="Targets" { (rule.targets) }
                            }
                        }
                    }
                }
                p.quiet { "What would have been held, or have asked a person, and then acted counts under both." }
                @if rules.len() > rows.len() { p.quiet { (rules.len() - rows.len()) " more rules have less to tell." } }
            }
        }
    }
}

/// How that differs from what was done.
fn difference(report: &Report) -> Markup {
    let difference = &report.difference;
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for one in &difference.differs {
        let (away, came) = sums.entry(one.rule.as_str()).or_default();
        if is_less(one.change) { *away += one.count } else { *came += one.count }
    }
    let most = sums.values().map(|(away, came)| (*away).max(*came)).max().unwrap_or(0);
    let rows = difference.differs.get(..difference.differs.len().min(ROWS_MAX)).unwrap_or_default();
    html! {
        section aria-labelledby="difference" {
            h2 #difference { "Difference to what was done" }
            p { strong { (difference.same) } " acts would have been the same." @if rows.is_empty() { " Nothing would have been different." } }
            @if !rows.is_empty() {
                @for (rule, (away, came)) in sums.iter().take(ROWS_MAX) {
                    figure.chart {
                        figcaption {
                            (link("rules", rule)) " "
                            span.quiet { (away) " less than was done, " (came) " more or other" }
                        }
                        (balance(*away, *came, most))
                    }
                }
                table {
                    caption { "What would have been different, with the first events of each" }
                    thead { tr { @for head in ["Rule", "What", "Times", "For example"] { th scope="col" { (head) } } } }
                    tbody { @for one in rows { (differs(one)) } }
                }
                @if difference.differs.len() > rows.len() { p.quiet { (difference.differs.len() - rows.len()) " more are in the API's answer." } }
            }
        }
    }
}

fn is_less(change: Change) -> bool {
    matches!(change, Change::Removed | Change::NowShown)
}

fn differs(one: &Differs) -> Markup {
    let words = match one.change {
        Change::Added => "would act where nothing was done",
        Change::Removed => "would not act where it did",
        Change::OtherTarget => "would act on another target",
        Change::NowActs => "would act where it was only shown",
        Change::NowShown => "would only be shown where it acted",
    };
    html! {
        tr {
            th scope="row" { (link("rules", one.rule.as_str())) }
            td data-label="What" { (if is_less(one.change) { "− " } else { "+ " }) (words) }
            td.number data-label="Times" { (one.count) }
            td data-label="For example" {
                ul.plain {
                    @for example in &one.examples {
                        li {
                            a href=(path("events", example.event.as_str())) { (shown(example.event.as_str())) }
                            " on " (shown(&example.target))
                            @if let Some(other) = &example.other_target { " instead of " (shown(other)) }
                        }
                    }
                }
            }
        }
    }
}
