//! Catching up: asking Flashduty for incidents that were opened while nobody listened.
//!
//! The vendor promises no repetition of a push that was refused. So at start, and when a person asks, the open incidents
//! since a time are listed, and those that the journal does not know are taken in as `i_new`. Each has an id made from
//! its incident, so that a second catch-up finds it taken. The engine serves meanwhile; what fails here is said, and
//! stops nothing.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Handle;
use crate::clock::Timestamp;
use crate::event::{self, Event};
use crate::journal::store::StoreError;
use crate::journal::{Admitted, Intake as _, Refused};
use crate::report::flashduty::{CallError, Client};
use crate::report::printable;

/// How far back it may be asked. What is older than this is no emergency any more.
pub const SINCE_MAX: Duration = Duration::from_secs(93 * 86_400);
/// The longest time that one list spans: the vendor allows 31 days, and the last second is rounded up.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400 - 1);
/// Pages of one window that are read: 10,000 incidents. More open ones than that need another answer than rules.
const PAGES_MAX: u32 = 100;
/// How long before the last record is looked too: a push may have been refused just before the daemon ended.
const OVERLAP: Duration = Duration::from_secs(300);
/// How often the journal is asked to take an event while it is busy with pushes, and how long between.
const ADMIT_TRIES_MAX: u32 = 30;
/// How long between.
const ADMIT_PAUSE: Duration = Duration::from_secs(1);
/// What stands before an incident's id in the id of its event.
const ID_PREFIX: &str = "catch-up-";

/// What a catch-up came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct CaughtUp {
    /// Incidents that were taken in.
    pub taken: u64,
    /// Incidents that the journal knew.
    pub known: u64,
    /// Incidents that could not be used, which the log says more about.
    pub unusable: u64,
    /// Whether there were more than are read at once.
    pub more: bool,
}

/// Why it was not caught up, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// Nobody can be asked.
    #[error("the config has no `flashduty` section, so nobody can be asked for what was missed")]
    NoClient,
    /// So far back is not asked.
    #[error("it can be caught up for at most {} days", SINCE_MAX.as_secs() / 86_400)]
    TooLong,
    /// Flashduty did not say.
    #[error("the list of incidents was not given: {0}")]
    Call(#[from] CallError),
    /// The journal could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal did not take an event.
    #[error("a missed incident was not taken in: {0}")]
    Refused(#[from] Refused),
}

/// What is done at start: everything since the journal's last record; nothing at a first start.
pub(super) async fn at_start(handle: Handle, since: Option<Timestamp>) {
    let Some(since) = since else { return };
    if !handle.config().flashduty.as_ref().is_some_and(|flashduty| flashduty.catch_up) {
        return;
    }
    let earliest = handle.now().minus(SINCE_MAX);
    // What went wrong is logged; the engine serves all the same.
    catch_up(&handle, since.minus(OVERLAP).max(earliest)).await.ok();
}

/// Takes in what was opened since `since` and is not in the journal.
pub(super) async fn catch_up(handle: &Handle, since: Timestamp) -> Result<CaughtUp, CatchUpError> {
    let _one_at_a_time = handle.shared.catching_up.lock().await;
    let mut caught = CaughtUp::default();
    let result = take_in_all(handle, since, &mut caught).await;
    let report = handle.report();
    for (outcome, count) in [("taken", caught.taken), ("known", caught.known), ("unusable", caught.unusable)] {
        report.caught_up(outcome, count);
    }
    let CaughtUp { taken, known, unusable, more } = caught;
    match result {
        Ok(()) => {
            tracing::info!(%since, taken, known, unusable, more, "caught up");
            Ok(caught)
        }
        Err(error) => {
            report.caught_up("failed", 1);
            tracing::warn!(%since, taken, known, %error, "not caught up; `stanch catch-up` tries it again");
            Err(error)
        }
    }
}

async fn take_in_all(handle: &Handle, since: Timestamp, caught: &mut CaughtUp) -> Result<(), CatchUpError> {
    let client = handle.shared.client.load_full().ok_or(CatchUpError::NoClient)?;
    let now = handle.now();
    if now.since(since) > SINCE_MAX {
        return Err(CatchUpError::TooLong);
    }
    for (from, to) in windows(since, now) {
        take_in_window(handle, &client, from, to, caught).await?;
    }
    Ok(())
}

async fn take_in_window(
    handle: &Handle,
    client: &Client,
    from: i64,
    to: i64,
    caught: &mut CaughtUp,
) -> Result<(), CatchUpError> {
    for page in 1..=PAGES_MAX {
        let list = client.open_incidents(from, to, page).await?;
        take_in(handle, list.items, caught).await?;
        if !list.has_next_page {
            return Ok(());
        }
    }
    caught.more = true;
    tracing::warn!(from, to, "more incidents are open than are caught up at once; the rest is left");
    Ok(())
}

async fn take_in(handle: &Handle, incidents: Vec<Value>, caught: &mut CaughtUp) -> Result<(), CatchUpError> {
    let mut events = Vec::with_capacity(incidents.len());
    for incident in incidents {
        match as_event(incident, handle) {
            Ok(event) => events.push(event),
            Err(problem) => {
                caught.unusable += 1;
                tracing::warn!(problem = %printable(&problem), "an incident that was missed cannot be used");
            }
        }
    }
    let unknown = handle.read(move |reader| {
        let mut unknown = Vec::with_capacity(events.len());
        let mut known = 0;
        for event in events {
            match reader.knows(&event.entity)? {
                true => known += 1,
                false => unknown.push(event),
            }
        }
        Ok((unknown, known))
    });
    let (unknown, known) = unknown.await?;
    caught.known += known;
    for event in unknown {
        match admit(handle, event).await? {
            Admitted::Accepted => caught.taken += 1,
            // The same incident in another state: it was caught up before.
            Admitted::Duplicate | Admitted::Conflict => caught.known += 1,
        }
    }
    Ok(())
}

/// Pushes come first: where the journal has no room it is tried again later.
async fn admit(handle: &Handle, event: Event) -> Result<Admitted, Refused> {
    let mut tries = 0;
    loop {
        tries += 1;
        match handle.journal().admit(event.clone()).await {
            Err(Refused::Overloaded { .. }) if tries < ADMIT_TRIES_MAX => tokio::time::sleep(ADMIT_PAUSE).await,
            settled => return settled,
        }
    }
}

/// The event that the push would have been. It counts as one of the first source.
fn as_event(incident: Value, handle: &Handle) -> Result<Event, String> {
    let source = handle.config().sources.first().map(|source| source.name.clone()).unwrap_or_default();
    let mut event = event::read(body(incident)?, source.into(), handle.now()).map_err(|error| error.to_string())?;
    event.caught_up = true;
    Ok(event)
}

fn body(incident: Value) -> Result<Bytes, String> {
    let id = incident.get("incident_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |name| incident.get(name).and_then(Value::as_i64).filter(|seconds| *seconds > 0);
    let opened = time("created_at").or_else(|| time("start_time"));
    let opened = opened.ok_or_else(|| format!("incident {id} does not say when it was opened"))?;
    let body = json!({
        "event_id": format!("{ID_PREFIX}{id}"),
        "event_time": opened.saturating_mul(1_000),
        "event_type": "i_new",
        "caught_up": true,
        "incident": incident,
    });
    Ok(body.to_string().into())
}

/// The time from `since` to `until` in parts that may be asked about, in Unix seconds.
fn windows(since: Timestamp, until: Timestamp) -> Vec<(i64, i64)> {
    let mut windows = Vec::new();
    let mut from = since;
    while from < until {
        let to = from.plus(WINDOW_MAX).min(until);
        // The end is rounded up, so that the last second is not left out.
        windows.push((from.as_secs(), to.as_secs().saturating_add(i64::from(to == until))));
        from = to;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Entity;

    fn secs(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn windows_join_and_none_is_too_long() {
        assert_eq!(windows(secs(100), secs(100)), []);
        assert_eq!(windows(secs(100), secs(200)), [(100, 201)]);
        let (days, month) = (70 * 86_400, 31 * 86_400 - 1);
        assert_eq!(windows(secs(0), secs(days)), [(0, month), (month, 2 * month), (2 * month, days + 1)]);
    }

    #[test]
    fn an_incident_becomes_the_push_that_was_missed() {
        let incident = json!({ "incident_id": "i1", "created_at": 1_700_000_000, "start_time": 5, "title": "x" });
        let at = secs(1_700_003_600);
        let first = event::read(body(incident.clone()).unwrap(), "flashduty".into(), at).unwrap();
        assert_eq!((first.id.as_str(), &*first.event_type), ("catch-up-i1", "i_new"));
        assert_eq!(first.time, secs(1_700_000_000));
        assert_eq!(first.entity, Entity::Incident("i1".into()));
        assert!(!first.caught_up, "a body cannot claim it");
        assert!(body(json!({ "incident_id": "i1", "created_at": 0 })).is_err());
    }
}
