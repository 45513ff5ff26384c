//! Charts: bars of SVG, made here, without script and without style of their own.
//!
//! A chart only repeats what stands beside it as text or in a table, so it is left out for those who do not see it,
//! unless it has a name.

use std::time::Duration;

use maud::{Markup, html};

use crate::clock::Timestamp;
use crate::simulate::backtest::RuleHour;

/// How many columns a chart has at most.
const COLUMNS_MAX: usize = 48;
/// How high a chart of columns is, in its own units. Pages stretch it.
const HEIGHT: u64 = 40;
/// How high what is there at all is at least.
const SEEN: u64 = 2;
/// How wide a bar is that stands for the most.
const WIDTH: u64 = 100;
/// An hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// The time over which columns stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    from: Timestamp,
    hours: i64,
    count: usize,
}

impl Axis {
    /// The axis from `from` to `to`, with a column an hour where the span is short, else one for six or for 24 hours, or
    /// for as many as it takes.
    pub(super) fn of(from: Timestamp, to: Timestamp) -> Self {
        let from_hour = from.as_millis().div_euclid(HOUR_MS);
        let span = (to.as_millis().div_euclid(HOUR_MS) - from_hour).max(0) + 1;
        let most = i64::try_from(COLUMNS_MAX).unwrap_or(i64::MAX);
        let hours = [1, 6, 24].into_iter().find(|hours| span <= hours * most).unwrap_or(span / most + 1);
        let count = usize::try_from((span + hours - 1) / hours).unwrap_or(COLUMNS_MAX);
        Self { from: Timestamp::from_millis(from_hour * HOUR_MS), hours, count }
    }

    /// How often something was done under each column. What lies outside counts under the nearest.
    pub(super) fn counts(&self, hours: &[RuleHour]) -> Vec<u64> {
        let mut counts = vec![0; self.count];
        for hour in hours {
            let nth = (hour.at.as_millis() - self.from.as_millis()).max(0) / (HOUR_MS * self.hours);
            let nth = usize::try_from(nth).unwrap_or(usize::MAX).min(self.count.saturating_sub(1));
            if let Some(count) = counts.get_mut(nth) {
                *count += hour.runs;
            }
        }
        counts
    }

    /// When a column begins.
    pub(super) fn begins(&self, nth: usize) -> Timestamp {
        let hours = u64::try_from(self.hours).unwrap_or_default().saturating_mul(nth as u64);
        self.from.plus(Duration::from_secs(hours * 3_600))
    }

    /// How long a column is, in words.
    pub(super) fn column(&self) -> String {
        match self.hours {
            1 => "an hour".into(),
            24 => "a day".into(),
            hours => format!("{hours} hours"),
        }
    }
}

/// Columns side by side; one that is `most` is as high as the chart. `name` is read out where it is not seen.
pub(super) fn columns(counts: &[u64], most: u64, name: &str) -> Markup {
    html! {
        svg.columns viewBox={ "0 0 " (counts.len() * 10) " " (HEIGHT) } preserveAspectRatio="none" role="img" {
            title { (name) }
            line.ground x1="0" x2=(counts.len() * 10) y1=(HEIGHT) y2=(HEIGHT) {}
            @for (nth, count) in counts.iter().enumerate() {
                @if let Some(height) = height(*count, most) {
                    rect.act x=(nth * 10 + 1) y=(HEIGHT - height) width="8" height=(height) {}
                }
            }
        }
    }
}

fn height(count: u64, most: u64) -> Option<u64> {
    let height = u128::from(count) * u128::from(HEIGHT) / u128::from(most.max(1));
    (count > 0).then(|| u64::try_from(height).unwrap_or(HEIGHT).clamp(SEEN, HEIGHT))
}

/// Parts in a row, each with its kind, for what is told in numbers beside it.
pub(super) fn parts(parts: &[(&str, u64)], most: u64) -> Markup {
    let mut at = 0;
    let placed: Vec<(&str, u64, u64)> = parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| {
            let width = width(*count, most);
            let place = (*kind, at, width);
            at += width;
            place
        })
        .collect();
    html! {
        svg.parts viewBox={ "0 0 " (WIDTH.max(at)) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for (kind, x, width) in placed { rect.(kind) x=(x) y="0" width=(width) height="10" {} }
        }
    }
}

/// What went away to the left of a middle, and what came to its right.
pub(super) fn balance(away: u64, came: u64, most: u64) -> Markup {
    let (left, right) = (width(away, most), width(came, most));
    html! {
        svg.balance viewBox={ "0 0 " (2 * WIDTH) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @if away > 0 { rect.bad x=(WIDTH - left) y="0" width=(left) height="10" {} }
            @if came > 0 { rect.act x=(WIDTH) y="0" width=(right) height="10" {} }
            line.ground x1=(WIDTH) x2=(WIDTH) y1="0" y2="10" {}
        }
    }
}

fn width(count: u64, most: u64) -> u64 {
    let width = u128::from(count) * u128::from(WIDTH) / u128::from(most.max(1));
    if count == 0 { 0 } else { u64::try_from(width).unwrap_or(WIDTH).clamp(1, WIDTH) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(nth: i64, runs: u64) -> RuleHour {
        RuleHour { at: Timestamp::from_millis(nth * HOUR_MS), runs }
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * HOUR_MS + 1)
    }

    #[test]
    fn a_span_is_cut_into_columns_that_people_count_in() {
        for (span, hours, count) in [(0, 1, 1), (24, 1, 25), (7 * 24, 6, 29), (30 * 24, 24, 31), (400 * 24, 201, 48)] {
            let axis = Axis::of(at(5), at(5 + span));
            assert_eq!((axis.hours, axis.count), (hours, count), "{span}");
        }
        assert_eq!(Axis::of(at(9), at(3)).count, 1, "a clock that went back");
    }

    #[test]
    fn every_run_counts_under_a_column_and_none_is_lost() {
        let axis = Axis::of(at(10), at(10 + 7 * 24));
        let counts = axis.counts(&[hour(3, 1), hour(10, 2), hour(15, 4), hour(16, 8), hour(9_999, 16)]);
        assert_eq!((counts[0], counts[1], counts[28], counts.iter().sum::<u64>()), (7, 8, 16, 31));
        assert_eq!(axis.begins(1), Timestamp::from_millis(16 * HOUR_MS));
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_leaves_its_chart() {
        assert_eq!(
            (height(0, 5), height(1, 1_000_000), height(5, 5), height(9, 5)),
            (None, Some(SEEN), Some(HEIGHT), Some(HEIGHT))
        );
        assert_eq!((width(0, 5), width(1, u64::MAX), width(5, 5), width(u64::MAX, 0)), (0, 1, WIDTH, WIDTH));
        let chart = columns(&[0, 2, 4], 4, "<b>").into_string();
        assert_eq!(chart.matches("<rect").count(), 2, "{chart}");
        assert!(chart.contains("<title>&lt;b&gt;</title>") && !chart.contains("style="), "{chart}");
        let chart = parts(&[("act", 1), ("bad", 0), ("off", 3)], 4).into_string();
        assert!(chart.contains("class=\"off\" x=\"25\"") && !chart.contains("bad"), "{chart}");
        assert_eq!(balance(1, 0, 1).into_string().matches("<rect").count(), 1);
    }
}
