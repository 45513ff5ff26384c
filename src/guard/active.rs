//! `active`: the rule acts only at certain times.

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;

use super::{Objection, Proposal, Verdict};
use crate::clock::Timestamp;
use crate::config::Schedule;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, _: &History, now: Timestamp) -> Verdict {
    let Some(active) = &proposal.rule.guards.active else { return Verdict::Pass };
    let on = |name: &String| proposal.settings.schedules.get(name).and_then(|schedule| window_at(schedule, now));
    if let Some((name, (_, end))) = active.except.iter().find_map(|name| Some((name, on(name)?))) {
        return Verdict::Object(Objection::new("active", format!("the schedule `{name}` is on"), Some(end)));
    }
    if active.only.is_empty() || active.only.iter().any(|name| on(name).is_some()) {
        return Verdict::Pass;
    }
    let names = active.only.join("`, `");
    let schedules = active.only.iter().filter_map(|name| proposal.settings.schedules.get(name));
    let until = schedules.filter_map(|schedule| next_begin(schedule, now)).min();
    Verdict::Object(Objection::new("active", format!("no schedule of `{names}` is on"), until))
}

/// The window of `schedule` that is on at `now`: its begin and its end.
///
/// A window belongs to the day on which it begins, in the schedule's own zone, and one whose end is not after its
/// begin reaches over midnight. Where clocks are set, begin and end are what a clock on the wall would show.
pub fn window_at(schedule: &Schedule, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let here = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned_datetime(schedule.zone.clone());
    let today = here.date();
    [Some(today), today.yesterday().ok()].into_iter().flatten().find_map(|day| {
        let (begin, end) = window_on(schedule, day)?;
        (begin <= now && now < end).then_some((begin, end))
    })
}

/// When the next window of `schedule` begins, if it has a date for one.
fn next_begin(schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let here = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned_datetime(schedule.zone.clone());
    let begin = |day: Date| window_on(schedule, day).map(|(begin, _)| begin).filter(|begin| *begin > now);
    if schedule.dates.is_empty() {
        // A day of the week comes within a week; the first one may have begun already.
        return here.date().series(1.day()).take(8).find_map(begin);
    }
    schedule.dates.iter().copied().filter_map(begin).min()
}

fn window_on(schedule: &Schedule, day: Date) -> Option<(Timestamp, Timestamp)> {
    let begins_today = (schedule.days.is_empty() || schedule.days.contains(&day.weekday()))
        && (schedule.dates.is_empty() || schedule.dates.contains(&day));
    if !begins_today {
        return None;
    }
    let last_day = if schedule.to > schedule.from { day } else { day.tomorrow().ok()? };
    let at = |day: Date, time| {
        let zoned = day.to_datetime(time).to_zoned_datetime(schedule.zone.clone()).ok()?;
        Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    };
    let (begin, end) = (at(day, schedule.from)?, at(last_day, schedule.to)?);
    (end.since(begin) > Duration::ZERO).then_some((begin, end))
}
