//! The engine without its edges, for tests: decides on events, starts and ends runs, folds, and keeps the records.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::turn::{self, Next, Past, Walk};
use super::{Question, Scope, Settings, decide};
use crate::clock::Timestamp;
use crate::event::{Entity, Event};
use crate::journal::history::{History, NEWEST_MAX, Newest, Order, RunState};
use crate::journal::record::{Decided, Observed, Outcome, Record, RunEnd, RunId};
use crate::rule::{Rule, RuleSet};

/// Midday of 2026-03-04, a Wednesday.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_772_625_600_000);

/// A rule for every `i_new` and `a_new`, which acts on the label `host`.
pub(crate) fn rule(id: &str, more: &str) -> String {
    format!(
        "  - id: {id}\n    match: {{ events: [i_new, i_reopen, a_new], channels: [\"*\"] }}\n    \
         target: '{{{{ labels.host }}}}'\n    steps: [ {{ run: [/bin/true] }} ]\n{more}"
    )
}

pub(crate) struct World {
    pub(crate) rules: RuleSet,
    pub(crate) settings: Settings,
    pub(crate) history: History,
    pub(crate) now: Timestamp,
    /// Everything that the journal would hold.
    pub(crate) records: Vec<(u64, Timestamp, Record)>,
    /// When runs began to act: rule, target, time.
    pub(crate) begun: Vec<(String, String, Timestamp)>,
    /// Their ids, in the same order.
    pub(crate) begun_runs: Vec<RunId>,
    events: BTreeMap<u64, Arc<Event>>,
    entities_max: usize,
}

/// What the journal tells of the events before a record.
struct Recorded<'w> {
    events: &'w BTreeMap<u64, Arc<Event>>,
    before: u64,
}

impl Past for Recorded<'_> {
    type Error = Infallible;

    fn event(&self, seq: u64) -> Result<Option<Arc<Event>>, Infallible> {
        Ok(self.events.get(&seq).cloned())
    }

    fn newest(&self, entity: &Entity) -> Result<Option<Newest>, Infallible> {
        let mut order = Order::default();
        for (seq, event) in self.events.range(..self.before).filter(|(_, event)| event.entity == *entity) {
            order.observe(&Observed::of(event, *seq));
        }
        Ok(order.get(entity).copied())
    }
}

impl World {
    pub(crate) fn new(rules: &str) -> Self {
        Self::with_config(rules, "")
    }

    pub(crate) fn with_config(rules: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stanch.yaml");
        std::fs::write(&file, format!("sources: [ {{ name: a, path: /a, auth: none }} ]\n{config}")).unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("rules/a.yaml"), format!("rules:\n{rules}")).unwrap();
        let config = crate::config::load::load(&file).unwrap_or_else(|_| panic!("a valid config")).config;
        let loaded = crate::rule::load::load(&config, 1);
        let rules = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let settings = crate::engine::settings(&config, &crate::engine::Options::of_reader());
        let (records, begun, begun_runs, events) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        let (history, entities_max) = (History::default(), NEWEST_MAX);
        Self { rules, settings, history, now: START, records, begun, begun_runs, events, entities_max }
    }

    /// The same world with memory for no more than so many entities.
    pub(crate) fn remembering(mut self, entities: usize) -> Self {
        self.entities_max = entities;
        self.history.newest = self.memory();
        self
    }

    fn memory(&self) -> Order {
        Order::with_limit(self.entities_max)
    }

    /// Changes the only rule as no rule file could.
    pub(crate) fn change_rule(&mut self, id: &str, change: impl Fn(&mut Rule)) {
        let mut rules = self.rules.rules.clone();
        rules.iter_mut().filter(|rule| rule.id.as_str() == id).for_each(|rule| change(Arc::make_mut(rule)));
        self.put_in_force(rules);
    }

    pub(crate) fn put_in_force(&mut self, rules: Vec<Arc<Rule>>) {
        self.rules = RuleSet::new(rules, Arc::clone(&self.rules.sandbox), String::new(), 2);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    fn next_seq(&self) -> u64 {
        self.records.len() as u64 + 1
    }

    fn record(&mut self, record: Record) {
        self.records.push((self.next_seq(), self.now, record));
    }

    /// Folds a record that this task makes, and keeps it.
    pub(crate) fn note(&mut self, record: Record) {
        self.history.apply(self.history.last_seq(), self.now, &record);
        self.record(record);
    }

    /// An incident's push of now; `changes` are by JSON pointer.
    pub(crate) fn push(&self, kind: &str, incident: &str, host: &str, changes: &[(&str, Value)]) -> Event {
        let mut push = json!({
            "event_id": format!("e{}", self.next_seq()), "event_time": self.now.as_millis(), "event_type": kind,
            "incident": { "incident_id": incident, "progress": "Triggered", "channel_id": 5, "channel_name": "Orders",
                          "labels": { "host": host } },
        });
        for (pointer, value) in changes {
            *push.pointer_mut(pointer).unwrap() = value.clone();
        }
        crate::event::read(push.to_string().into(), "a".into(), self.now).unwrap()
    }

    pub(crate) fn send(&mut self, kind: &str, incident: &str, host: &str) -> Vec<Decided> {
        let event = self.push(kind, incident, host, &[]);
        self.take(event)
    }

    /// The outcome of the only rule for a push.
    pub(crate) fn outcome(&mut self, kind: &str, incident: &str, host: &str) -> Outcome {
        self.send(kind, incident, host).first().expect("a decision").outcome.clone()
    }

    /// Takes an event in, and decides on it as the engine does.
    pub(crate) fn take(&mut self, event: Event) -> Vec<Decided> {
        let seq = self.next_seq();
        self.record(Record::received(&event));
        self.events.insert(seq, Arc::new(event.clone()));
        let past = Recorded { events: &self.events, before: seq };
        for entity in self.history.newest.unknown_of(&event) {
            if let Some(newest) = past.newest(&entity).unwrap() {
                self.history.newest.recall(entity, newest);
            }
        }
        for run in turn::called_off(&event, &self.history) {
            self.end_waiting(&run, RunEnd::Cancelled, true);
        }
        let newest = match self.history.newest.get(&event.entity) {
            Some(newest) if newest.is_after(event.time) && !newest.closed => self.events.get(&newest.seq).cloned(),
            _ => None,
        };
        let question = Question {
            event: &event,
            seq,
            newest: newest.as_deref(),
            rules: &self.rules,
            settings: &self.settings,
            scope: Scope::Concerned,
        };
        let decisions = decide(&question, &mut self.history, self.now);
        let each: Vec<Decided> = decisions.each.into_iter().map(|decision| decision.decided).collect();
        self.record(Record::Decided {
            from_seq: seq,
            to_seq: seq,
            event: Some(event.id.clone()),
            generation: 1,
            late_since: decisions.late_since,
            decisions: each.clone(),
        });
        for decided in &each {
            if decided.outcome == (Outcome::Run { queued: None }) {
                self.begin(&decided.reservation.as_ref().unwrap().run);
            }
        }
        each
    }

    fn begin(&mut self, run: &RunId) {
        let known = self.history.runs.get(run).unwrap();
        let (rule, target, event) = (known.rule.clone(), known.target.clone(), known.event.clone());
        self.begun.push((rule.to_string(), target.clone(), self.now));
        self.begun_runs.push(run.clone());
        self.note(Record::RunIntended { run: run.clone(), rule, event, generation: 1, target, plan: Value::Null });
    }

    fn end_waiting(&mut self, run: &RunId, end: RunEnd, keeps_slot: bool) {
        let known = self.history.runs.get(run).unwrap();
        let (rule, target) = (known.rule.clone(), known.target.clone());
        let (run, error) = (run.clone(), None);
        self.note(Record::RunEnded { run, rule, target, end, acted: false, keeps_slot, error, duration_ms: 0 });
    }

    /// The runs that act.
    pub(crate) fn active(&self) -> Vec<RunId> {
        let mut active: Vec<RunId> = self
            .history
            .runs
            .iter()
            .filter(|(_, run)| matches!(run.state, RunState::Active { .. }))
            .map(|(id, _)| id.clone())
            .collect();
        active.sort();
        active
    }

    /// A run that acts ends.
    pub(crate) fn end(&mut self, run: &RunId, end: RunEnd) {
        let known = self.history.runs.get(run).unwrap();
        let (rule, target, run) = (known.rule.clone(), known.target.clone(), run.clone());
        let (acted, keeps_slot, error) = (true, true, None);
        self.note(Record::RunEnded { run, rule, target, end, acted, keeps_slot, error, duration_ms: 0 });
    }

    /// Looks at every run that waits. Gives back what became of those that ended.
    pub(crate) fn turns(&mut self) -> Vec<String> {
        let (mut walk, mut ended) = (Walk::new(true), Vec::new());
        loop {
            let past = Recorded { events: &self.events, before: u64::MAX };
            match walk.next(&self.history, &self.rules, &self.settings, self.now, &past).unwrap() {
                None => return ended,
                Some(Next::Start { run, .. }) => self.begin(&run),
                Some(Next::End { run, end, reason }) => {
                    self.end_waiting(&run, end, false);
                    ended.push(if end == RunEnd::Expired { "expired".into() } else { reason });
                }
            }
        }
    }

    /// The engine dies and is started again at `now`: what acted is interrupted, everything else is as it was.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        self.history = self.replayed();
        // As the clock of the engine does: time does not go back over a restart.
        self.now = now.max(self.history.last_at());
        self.note(Record::Started { version: String::new(), rules_hash: String::new(), dry_run: false });
        for run in self.active() {
            self.end(&run, RunEnd::Interrupted);
        }
    }

    /// The fold of the records, as a restart makes it.
    pub(crate) fn replayed(&self) -> History {
        let mut history = History::default();
        history.newest = self.memory();
        for (seq, at, record) in &self.records {
            history.apply(*seq, *at, record);
        }
        history
    }
}
