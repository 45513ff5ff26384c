//! The journal: can it be read, is it whole, and what do the last pushes say of the clock.

use std::time::Duration;

use super::Finding;
use crate::clock::{Timestamp, wall_now};
use crate::config::Config;
use crate::event::TimeMark;
use crate::journal::chain::{HeadFile, Outside};
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::StoreError;
use crate::journal::{FILE_NAME, HEAD_NAME};

/// How many of the newest pushes are looked at.
const PUSHES: usize = 50;
/// A push whose time is this far from its receipt speaks of a wrong clock. A retry may come a minute late.
const SKEW: Duration = Duration::from_secs(120);
/// A source that was silent for so long may not be connected any more.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// All of it. What was never started has no journal, and nothing to say about it.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let path = config.data.join(FILE_NAME);
    if !path.exists() {
        return vec![Finding::doubtful("journal", "there is none yet", "the daemon makes it at its first start")];
    }
    match read(config) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::bad(
            "journal",
            error.to_string(),
            "if it is damaged, put back a copy with `stanch restore`; docs/runbook.md tells how",
        )],
    }
}

fn read(config: &Config) -> Result<Vec<Finding>, StoreError> {
    let reader = Reader::open(&config.data.join(FILE_NAME))?;
    let newest = reader.pushes_before(i64::MAX.unsigned_abs(), PUSHES)?;
    let mut findings = vec![match HeadFile::read_only(&config.data.join(HEAD_NAME)) {
        Ok(Outside::Known(head)) => {
            Finding::good("journal", format!("it opens, and its head is kept outside at record {}", head.seq))
        }
        Ok(Outside::Missing | Outside::Torn) | Err(_) => Finding::doubtful(
            "journal",
            "it opens, and there is no head outside to compare its end with",
            "run `stanch audit verify`; the daemon writes the head with its next record",
        ),
    }];
    let times: Vec<(Timestamp, Timestamp)> = newest
        .iter()
        .filter_map(|push| match &push.record {
            Record::Received { time, time_mark: TimeMark::Sound | TimeMark::Ahead, .. } => Some((*time, push.at)),
            _ => None,
        })
        .collect();
    findings.push(silence(newest.first().map(|push| push.at), wall_now()));
    findings.extend(clock(&times));
    Ok(findings)
}

fn silence(last: Option<Timestamp>, now: Timestamp) -> Finding {
    match last {
        None => Finding::doubtful(
            "pushes",
            "none has come yet",
            "enter the URL and the header in Flashduty, or try with `stanch send`",
        ),
        Some(last) if now.since(last) > SILENCE => Finding::doubtful(
            "pushes",
            format!("the last one came {last}"),
            "if more were to be expected, look whether Flashduty reaches the listener, and at its webhook's log",
        ),
        Some(last) => Finding::good("pushes", format!("the last one came {last}")),
    }
}

/// Compares the times in pushes (event, receipt) with our own. One late push proves nothing; the least late of many
/// does, and so does any that came before its time.
fn clock(times: &[(Timestamp, Timestamp)]) -> Option<Finding> {
    let ahead = times.iter().map(|(time, at)| time.since(*at)).max()?;
    let behind = times.iter().map(|(time, at)| at.since(*time)).min()?;
    let advice = "look at the time with `timedatectl`: limits and lateness are reckoned by it";
    Some(if ahead > SKEW {
        Finding::bad(
            "clock",
            format!("a push came {} s before its own time: our clock is slow", ahead.as_secs()),
            advice,
        )
    } else if behind > SKEW {
        let found = format!("every push seems to come {} s late: our clock may be fast", behind.as_secs());
        Finding::doubtful("clock", found, advice)
    } else {
        Finding::good("clock", "it agrees with the times in pushes")
    })
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + second * 1000)
    }

    fn health(times: &[(i64, i64)]) -> Option<Health> {
        let times: Vec<_> = times.iter().map(|(time, received)| (at(*time), at(*received))).collect();
        clock(&times).map(|finding| finding.health)
    }

    #[test]
    fn a_clock_is_judged_by_all_pushes_together() {
        assert_eq!(health(&[]), None);
        assert_eq!(health(&[(0, 1), (10, 11)]), Some(Health::Good));
        // One late retry among punctual pushes says nothing.
        assert_eq!(health(&[(0, 600), (10, 11)]), Some(Health::Good));
        assert_eq!(health(&[(0, 600), (10, 700)]), Some(Health::Doubtful));
        assert_eq!(health(&[(0, 1), (600, 10)]), Some(Health::Bad));
    }

    #[test]
    fn silence_is_told_by_the_last_push() {
        assert_eq!(silence(None, at(0)).health, Health::Doubtful);
        assert_eq!(silence(Some(at(0)), at(60)).health, Health::Good);
        assert_eq!(silence(Some(at(0)), at(25 * 3600)).health, Health::Doubtful);
    }
}
