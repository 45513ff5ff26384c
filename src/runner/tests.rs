//! Runs of rules as people write them, with real processes, against a journal that is a list.

mod each;
mod steps;
mod stopping;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::action::SshSettings;
use crate::clock::ManualClock;
use crate::event::{Event, read};
use crate::journal::record::{Phase, StepEnd, StepResult};
use crate::plan::{self, Call};
use crate::report::redact::Redactor;
use crate::rule::RuleSet;
use crate::rule::step::Step;
use crate::rule::template::TemplateNames;
use crate::rule::view::EventView;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_001_500);
/// When the event of these tests was received.
const RECEIVED: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SECRET: &str = "a-secret-that-nobody-may-see";

/// Records in the order in which they came. Refuses further ones on demand.
#[derive(Clone)]
struct List(Arc<Inner>);

struct Inner {
    records: watch::Sender<Vec<Record>>,
    refuses_from: usize,
}

impl List {
    fn new(refuses_from: usize) -> Self {
        Self(Arc::new(Inner { records: watch::Sender::default(), refuses_from }))
    }

    fn take(&self, record: Record) -> Result<(), Refused> {
        let taken = self.0.records.send_if_modified(|records| {
            let room = records.len() < self.0.refuses_from;
            if room {
                records.push(record);
            }
            room
        });
        if taken { Ok(()) } else { Err(Refused::Closed { reason: "the disk is full".into() }) }
    }

    fn records(&self) -> Vec<Record> {
        self.0.records.borrow().clone()
    }

    /// Waits for a record.
    async fn comes(&self, mut wanted: impl FnMut(&Record) -> bool) {
        let mut records = self.0.records.subscribe();
        records.wait_for(|records| records.iter().any(&mut wanted)).await.expect("it goes on");
    }
}

impl RecordSink for List {
    async fn append(&self, records: Vec<Record>) -> Result<(), Refused> {
        tokio::task::yield_now().await;
        records.into_iter().try_for_each(|record| self.take(record))
    }

    fn append_later(&self, record: Record) -> Result<(), Refused> {
        self.take(record)
    }
}

struct Planning;

impl Planner for Planning {
    fn render(
        &self,
        step: &Step,
        intent: &Intent,
        names: &[(&str, serde_json::Value)],
        now: Timestamp,
    ) -> Result<Call, String> {
        let view = EventView::new(&intent.event);
        let names = TemplateNames { view: &view, target: Some(&intent.plan.target), now, names };
        plan::render_step(step, &names).map_err(|error| error.to_string())
    }

    fn environment(&self, intent: &Intent) -> std::collections::BTreeMap<String, String> {
        plan::environment(&intent.event, &intent.plan.target, &intent.run, &intent.rule.id, 1, "/").0
    }
}

/// Notes what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, what: String) {
        self.0.lock().expect("it is whole").push(what);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("it is whole").clone()
    }
}

impl Observer for Told {
    fn run_started(&self, rule: &RuleId) {
        self.note(format!("{rule} started"));
    }

    fn first_action(&self, _rule: &RuleId, after: Duration) {
        self.note(format!("acts after {after:?}"));
    }

    fn step_ended(&self, _rule: &RuleId, phase: Phase, end: StepEnd, _took: Duration) {
        self.note(format!("{phase:?} {end:?}"));
    }

    fn run_ended(&self, _run: &RunId, rule: &RuleId, end: RunEnd, _took: Duration) {
        self.note(format!("{rule} {}", end.name()));
    }

    fn refused(&self, _run: &RunId, why: &Refused) {
        self.note(why.to_string());
    }
}

/// A rule in a folder of its own, and a runner.
struct Case {
    folder: tempfile::TempDir,
    rules: RuleSet,
    list: List,
    told: Arc<Told>,
    runner: Runner<List>,
}

impl Case {
    /// `body` is what follows `match` in the rule.
    fn new(body: &str) -> Self {
        Self::refusing(body, usize::MAX)
    }

    fn refusing(body: &str, refuses_from: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rule = format!("rules:\n  - id: probe\n    match: {{ events: [i_new], channels: [\"*\"] }}\n{body}");
        let config =
            "listen: 127.0.0.1:0\nsources: [{ name: flashduty, path: /f, auth: none, allow_from: [loopback] }]\n";
        for (name, text) in [("rules/rule.yaml", &*rule), ("stanch.yaml", config)] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
            std::fs::write(path, text).expect("it is written");
        }
        let config = crate::config::load::load(&folder.path().join("stanch.yaml")).expect("the config is valid").config;
        let loaded = crate::rule::load::load(&config, 7);
        let rules = loaded.set.unwrap_or_else(|| panic!("{rule}\n{:#?}", loaded.diagnostics));
        let (list, told) = (List::new(refuses_from), Arc::new(Told::default()));
        let runner = Runner::new(Wiring {
            sink: list.clone(),
            planner: Arc::new(Planning),
            clock: Arc::new(ManualClock::at(NOW)),
            observer: Arc::clone(&told) as Arc<dyn Observer>,
            room: crate::report::outbox::Room::beside(0),
            settings: Settings {
                output_bytes: 64 * 1024,
                http_allow: vec![],
                flashduty: None,
                run_link: None,
                redactor: Arc::new(Redactor::new([SECRET]).expect("it builds")),
                own_program: "/proc/self/exe".into(),
                isolation: Default::default(),
                ssh: SshSettings::default(),
                traces: None,
            },
        });
        Self { folder, rules, list, told, runner: runner.expect("it is made ready") }
    }

    /// The id of a run, unlike that of any other test: processes are found, and ended, by it.
    fn id(&self, run: &str) -> RunId {
        let folder = self.folder.path().file_name().expect("it has a name").to_string_lossy();
        RunId::new(format!("{run}-{folder}"))
    }

    fn intent(&self, run: &str) -> Intent {
        let rule = self.rules.rules.first().expect("there is one");
        let event = Arc::new(event());
        let plan = plan::plan(rule, &self.rules.sandbox, &EventView::new(&event), NOW).expect("it renders");
        let (rule, sandbox) = (Arc::clone(rule), Arc::clone(&self.rules.sandbox));
        Intent { run: self.id(run), rule, sandbox, event, plan, generation: 7, resumed: None }
    }

    /// Runs the rule once and gives how it ended.
    async fn run(&self) -> Ended {
        self.runner.start(self.intent("r-1")).expect("it starts");
        self.ended("r-1").await
    }

    async fn ended(&self, run: &str) -> Ended {
        let id = self.id(run);
        self.list.comes(|record| matches!(record, Record::RunEnded { run, .. } if *run == id)).await;
        let ended = self.list.records().into_iter().find_map(|record| match record {
            Record::RunEnded { run, end, error, acted, keeps_slot, .. } if run == id => {
                Some(Ended { end, error: error.unwrap_or_default(), acted, keeps_slot })
            }
            _ => None,
        });
        ended.expect("it came")
    }

    /// The tries of the steps as (phase, step, attempt, result), in order.
    fn tries(&self) -> Vec<(Phase, usize, u32, StepResult)> {
        let ends = self.list.records().into_iter().filter_map(|record| match record {
            Record::StepEnded { phase, step, attempt, result, .. } => Some((phase, step, attempt, result)),
            _ => None,
        });
        ends.collect()
    }

    /// What the steps wrote on standard output, in order.
    fn outputs(&self) -> Vec<String> {
        self.tries().into_iter().map(|(.., result)| result.stdout.trim_end().to_owned()).collect()
    }

    fn ends(&self) -> Vec<StepEnd> {
        self.tries().into_iter().map(|(.., result)| result.end).collect()
    }

    async fn has_started_step(&self, nth: usize) {
        self.list.comes(|record| matches!(record, Record::StepStarted { step, .. } if *step == nth)).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Ended {
    end: RunEnd,
    error: String,
    acted: bool,
    keeps_slot: bool,
}

fn event() -> Event {
    let body = json!({
        "event_id": "e-1", "event_time": 1_700_000_000_000_i64, "event_type": "i_new",
        "incident": {"incident_id": "65f1", "title": "disk full", "labels": {"resource": "db-07"}},
    });
    read(body.to_string().into(), Arc::from("flashduty"), RECEIVED).expect("it reads")
}
