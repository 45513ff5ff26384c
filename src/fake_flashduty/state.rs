//! What the fake keeps: its incidents, and which calls it saw.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::calls::Call;
use crate::clock::{Stopwatch, wall_now};

/// Incidents that are kept; the oldest ids go first.
const INCIDENTS_MAX: usize = 10_000;
/// Comments that are kept of an incident.
const COMMENTS_MAX: usize = 10_000;
/// Calls that are remembered.
const SEEN_MAX: usize = 100_000;
/// Calls in a second, and in a minute, that are answered, as with the vendor.
const LIMITS: [(usize, Duration); 2] = [(50, Duration::from_secs(1)), (1_000, Duration::from_secs(60))];

/// A call that the fake saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: Value,
    /// The status that it was answered with.
    pub status: u16,
}

#[derive(Debug)]
pub(super) struct State {
    incidents: BTreeMap<String, Kept>,
    pub(super) seen: VecDeque<Seen>,
    since: Stopwatch,
    answered: VecDeque<Duration>,
    requests: u64,
}

#[derive(Debug)]
struct Kept {
    incident: Map<String, Value>,
    comments: Vec<String>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            incidents: BTreeMap::new(),
            seen: VecDeque::new(),
            since: Stopwatch::start(),
            answered: VecDeque::new(),
            requests: 0,
        }
    }

    pub(super) fn open(&mut self, mut incident: Map<String, Value>) {
        let id = incident.get("incident_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let now = wall_now().as_secs();
        for (name, value) in [("progress", json!("Triggered")), ("created_at", json!(now)), ("start_time", json!(now))]
        {
            incident.entry(name).or_insert(value);
        }
        self.incidents.insert(id, Kept { incident, comments: Vec::new() });
        while self.incidents.len() > INCIDENTS_MAX {
            self.incidents.pop_first();
        }
    }

    pub(super) fn incident(&self, id: &str) -> Option<&Map<String, Value>> {
        self.incidents.get(id).map(|kept| &kept.incident)
    }

    pub(super) fn incidents(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.incidents.values().map(|kept| &kept.incident)
    }

    pub(super) fn comments(&self, id: &str) -> Vec<String> {
        self.incidents.get(id).map(|kept| kept.comments.clone()).unwrap_or_default()
    }

    pub(super) fn comment(&mut self, id: &str, text: &str) {
        if let Some(kept) = self.incidents.get_mut(id).filter(|kept| kept.comments.len() < COMMENTS_MAX) {
            kept.comments.push(text.to_owned());
        }
    }

    pub(super) fn set(&mut self, id: &str, fields: &[(&str, Value)]) {
        if let Some(kept) = self.incidents.get_mut(id) {
            for (name, value) in fields {
                kept.incident.insert((*name).to_owned(), value.clone());
            }
            kept.incident.insert("updated_at".into(), wall_now().as_secs().into());
        }
    }

    /// Sets a custom field.
    pub(super) fn set_field(&mut self, id: &str, name: &str, value: &Value) {
        if let Some(kept) = self.incidents.get_mut(id)
            && let Value::Object(fields) = kept.incident.entry("fields").or_insert_with(|| json!({}))
        {
            fields.insert(name.to_owned(), value.clone());
        }
    }

    pub(super) fn note(&mut self, call: &Call<'_>, status: u16) {
        let body = call.body.clone().unwrap_or_default();
        self.seen.push_back(Seen { path: call.path.to_owned(), body, status });
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    /// Counts a call; false where there were too many.
    pub(super) fn may_answer(&mut self) -> bool {
        self.may_answer_at(self.since.elapsed())
    }

    fn may_answer_at(&mut self, now: Duration) -> bool {
        let within = LIMITS.iter().all(|(count, window)| {
            let earlier = self.answered.len().checked_sub(*count).and_then(|at| self.answered.get(at));
            earlier.is_none_or(|earlier| now.saturating_sub(*earlier) >= *window)
        });
        if within {
            self.answered.push_back(now);
            if self.answered.len() > LIMITS[1].0 {
                self.answered.pop_front();
            }
        }
        within
    }

    /// The id of the next request.
    pub(super) fn request_id(&mut self) -> String {
        self.requests += 1;
        format!("fake-{:08}", self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_answered_than_the_vendor_answers() {
        let mut state = State::new();
        let mut answered = |count: usize, at: Duration| (0..count).filter(|_| state.may_answer_at(at)).count();
        assert_eq!(answered(60, Duration::ZERO), 50);
        assert_eq!(answered(60, Duration::from_millis(999)), 0);
        assert_eq!(answered(60, Duration::from_secs(1)), 50);
        let of_a_minute: usize = (2..60).map(|second| answered(60, Duration::from_secs(second))).sum();
        assert_eq!(of_a_minute, 1_000 - 100);
        assert_eq!(answered(60, Duration::from_secs(60)), 50, "those of a minute ago count no longer");
    }
}
