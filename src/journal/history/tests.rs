//! The fold: the same live and after a restart, and never more than the caps allow.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::newest::Order;
use super::{History, Impossible, Ordering};
use crate::clock::Timestamp;
use crate::decide::world::{World, rule};
use crate::journal::record::{Observed, Phase, Record, RunEnd, RunId};
use crate::rule::RuleId;

impl History {
    /// What a fold knows, but for where in the journal it stands: live, a record is folded before it has a number.
    pub(crate) fn known(&self) -> Self {
        Self { last_seq: 0, last_at: Timestamp::default(), has_begun: false, truncated: false, ..self.clone() }
    }
}

#[test]
fn what_was_set_aside_still_orders_after_a_restart() {
    let mut world = World::new(&rule("a", ""));
    let event = world.push("i_new", "i1", "db", &[]);
    let observed = Observed::of(&event, 1);
    let mut live = History::default();
    live.observe(&observed);
    let mut replayed = History::default();
    replayed.apply(1, world.now, &Record::received(&event));
    let set_aside = Record::SetAside { event: event.id.clone(), seq: 1, error: "gone".into() };
    live.apply(2, world.now, &set_aside);
    replayed.apply(2, world.now, &set_aside);
    assert_eq!(live.known(), replayed.known());
    assert!(replayed.newest.get(&event.entity).is_some());
    world.pass(1);
}

#[test]
fn an_entity_that_memory_let_go_is_recalled() {
    let mut world = World::new(&rule("a", ""));
    let mut order = Order::with_limit(2);
    let mut entities = Vec::new();
    for (seq, incident) in (1..).zip(["i1", "i2", "i3"]) {
        let event = world.push("i_new", incident, "db", &[]);
        order.observe(&Observed::of(&event, seq));
        entities.push(event);
        world.pass(1);
    }
    let first = &entities[0];
    assert!(order.get(&first.entity).is_none());
    assert_eq!(order.unknown_of(first).collect::<Vec<_>>(), std::slice::from_ref(&first.entity));
    assert_eq!(order.unknown_of(&entities[2]).count(), 0);
    let newest =
        super::Newest { time: Some(first.time), seq: 1, state_time: first.time, closed: false, closed_at: None };
    order.recall(first.entity.clone(), newest);
    let mut older = first.clone();
    older.time = first.time.minus(Duration::from_secs(1));
    assert_eq!(order.observe(&Observed::of(&older, 9)), Ordering::Late { newest: first.time });
}

#[test]
fn an_annotation_brings_a_newer_state_and_makes_nothing_late() {
    let mut world = World::new(&rule("a", ""));
    let mut order = Order::default();
    let first = world.push("i_new", "i1", "db", &[]);
    world.pass(10);
    let noted = world.push("i_r_severity", "i1", "db", &[]);
    world.pass(10);
    let closed = world.push("i_rslv", "i1", "db", &[]);
    world.pass(10);
    let said = world.push("i_comm", "i1", "db", &[]);
    assert_eq!(order.observe(&Observed::of(&noted, 1)), Ordering::Current);
    assert_eq!(order.observe(&Observed::of(&first, 2)), Ordering::Current, "an annotation overtakes nothing");
    assert_eq!(order.get(&first.entity).map(|newest| newest.seq), Some(1), "the state of then is older");
    assert_eq!(order.observe(&Observed::of(&closed, 3)), Ordering::Current);
    assert_eq!(order.observe(&Observed::of(&said, 4)), Ordering::Current);
    let newest = order.get(&first.entity).copied().unwrap();
    assert_eq!(
        (newest.seq, newest.closed),
        (3, true),
        "a comment that says nothing of it does not open what is closed"
    );
    assert_eq!((newest.time, newest.closed_at), (Some(closed.time), Some(closed.time)));
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    Event { kind: &'static str, incident: u8, host: u8, delay_s: u64 },
    End { which: usize, end: RunEnd },
    Approve,
    Pass { seconds: u64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let kind = prop::sample::select(&["i_new", "i_new", "i_new", "i_reopen", "i_ack", "i_rslv", "i_storm"][..]);
    let end = prop::sample::select(&[RunEnd::Succeeded, RunEnd::Failed, RunEnd::TimedOut][..]);
    prop_oneof![
        6 => (kind, 0..4u8, 0..4u8, prop_oneof![4 => Just(0), 1 => 0..300u64])
            .prop_map(|(kind, incident, host, delay_s)| Happening::Event { kind, incident, host, delay_s }),
        3 => (any::<prop::sample::Index>(), end)
            .prop_map(|(which, end)| Happening::End { which: which.index(64), end }),
        1 => Just(Happening::Approve),
        3 => prop_oneof![0..30u64, 0..2_000u64].prop_map(|seconds| Happening::Pass { seconds }),
    ]
}

fn rules() -> String {
    [
        rule("capped", "    guards: { rate: { max: 2, per: 10m }, blast_radius: { targets: 2, per: 20m } }\n"),
        rule("held", "    guards: { hold: { for: 5m, cancel_on: [i_ack] }, rate: { max: 2, per: 10m } }\n"),
        rule(
            "asked",
            "    mode: approve\n    dedupe: { by: [target], for: 3m }\n    guards: { hold: { for: 1m }, cooldown: 5m }\n",
        ),
    ]
    .concat()
}

/// The most that began in any window of `per`, as told by `weigh`.
fn most(begun: &[(String, String, Timestamp)], rule: &str, per: Duration, weigh: impl Fn(&[&str]) -> usize) -> usize {
    let own: Vec<_> = begun.iter().filter(|(of, ..)| of == rule).collect();
    own.iter()
        .map(|(_, _, from)| {
            let within = own.iter().filter(|(_, _, at)| at >= from && *at < from.plus(per));
            weigh(&within.map(|(_, target, _)| target.as_str()).collect::<Vec<_>>())
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_replay_is_the_live_fold_and_no_cap_is_exceeded(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut world = World::new(&rules());
        for happening in happenings {
            match happening {
                Happening::Event { kind, incident, host, delay_s } => {
                    let mut event = world.push(kind, &format!("i{incident}"), &format!("h{host}"), &[]);
                    event.time = event.time.minus(Duration::from_secs(delay_s));
                    world.take(event);
                }
                Happening::End { which, end } => {
                    let active = world.active();
                    if !active.is_empty() {
                        world.end(&active[which % active.len()], end);
                    }
                }
                Happening::Approve => {
                    let asked = world.history.runs.waiting().find(|(_, run)| run.awaits_approval());
                    if let Some(run) = asked.map(|(id, _)| id.clone()) {
                        world.note(Record::Approved { run, by: "ops".into(), reason: None });
                    }
                }
                Happening::Pass { seconds } => world.pass(seconds),
            }
            world.turns();
            let mut targets = HashSet::new();
            for run in world.active() {
                let target = world.history.runs.get(&run).unwrap().target.clone();
                prop_assert!(targets.insert(target), "two runs act on one target");
            }
        }
        prop_assert_eq!(world.history.known(), world.replayed().known());
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for rule in ["capped", "held"] {
            prop_assert!(most(&world.begun, rule, minutes(10), |targets| targets.len()) <= 2, "rate: {:?}", world.begun);
        }
        let distinct = |targets: &[&str]| targets.iter().collect::<HashSet<_>>().len();
        prop_assert!(most(&world.begun, "capped", minutes(20), distinct) <= 2, "radius: {:?}", world.begun);
    }
}

fn ended(run: &RunId) -> Record {
    Record::RunEnded {
        run: run.clone(),
        rule: RuleId::new("a"),
        target: "db".into(),
        end: RunEnd::Failed,
        acted: true,
        keeps_slot: true,
        error: None,
        duration_ms: 0,
    }
}

#[test]
fn what_the_state_of_a_run_rules_out_is_refused_and_told_of() {
    let mut world = World::new(&rule("a", ""));
    world.send("i_new", "i1", "db");
    let run = world.active()[0].clone();
    let intended = world.records.iter().find(|(_, _, record)| matches!(record, Record::RunIntended { .. })).unwrap();
    let (again, approved) = (intended.2.clone(), Record::Approved { run: run.clone(), by: "ops".into(), reason: None });
    let resumed = Record::RunResumed { run: run.clone(), from_step: 0, generation: 1 };
    let step = Record::StepStarted {
        run: run.clone(),
        phase: Phase::Steps,
        step: 0,
        each: None,
        name: "x".into(),
        attempt: 1,
    };
    let now = world.now;
    let before = world.history.clone();
    let mut refusals = Vec::new();
    for record in [&again, &approved, &resumed] {
        refusals.push(world.history.try_apply(0, now, record).expect_err("it acts already, and there was no crash"));
    }
    assert!(refusals.iter().all(|refusal| matches!(refusal, Impossible::Illegal { .. })), "{refusals:?}");
    assert_eq!(refusals[0].to_string(), format!("run {run} cannot begin to act: it acts since {now}"));
    assert_eq!(world.history, before, "nothing was folded");
    world.end(&run, RunEnd::Failed);
    for record in [&ended(&run), &step] {
        let refusal = world.history.try_apply(0, now, record).expect_err("it has ended");
        assert!(matches!(refusal, Impossible::Unknown { .. }), "{refusal}");
    }
    assert_eq!(world.history.failures(&RuleId::new("a")).count(), 1, "an end that cannot be counts for no breaker");
    world.history.apply(7, now, &ended(&run));
    assert_eq!(world.history.take_impossible().len(), 1);
    assert!(world.history.take_impossible().is_empty());
}

#[test]
fn the_end_of_a_run_whose_beginning_retention_took_is_no_defect() {
    let mut history = History::default();
    history.apply(50, Timestamp::from_millis(1), &ended(&RunId::new("r-1")));
    assert!(history.take_impossible().is_empty());
    assert_eq!(history.failures(&RuleId::new("a")).count(), 1);
}

#[test]
fn a_crash_counts_once_for_a_rule_and_an_orderly_stop_not_at_all() {
    let mut world = World::with_config(&rule("a", ""), "limits: { runs: 16 }\n");
    let started = || Record::Started { version: "1".into(), rules_hash: String::new(), dry_run: false };
    let failures = |world: &World| world.history.failures(&RuleId::new("a")).count();
    for host in ["h1", "h2", "h3"] {
        world.send("i_new", host, host);
    }
    world.note(started());
    for run in world.active() {
        world.end(&run, RunEnd::Interrupted);
    }
    assert_eq!(failures(&world), 1);
    world.send("i_new", "i4", "h4");
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Interrupted);
    assert_eq!(failures(&world), 1, "it was not cut off by a crash");
    world.send("i_new", "i5", "h5");
    world.note(started());
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Interrupted);
    assert_eq!(failures(&world), 2, "the next crash counts again");
    assert_eq!(world.replayed().known(), world.history.known());
}

#[test]
fn an_event_is_to_blame_only_for_deaths_in_a_row_with_it_in_front() {
    let world = World::new(&rule("a", ""));
    let (first, second) = (world.push("i_new", "i1", "a", &[]), world.push("i_new", "i2", "b", &[]));
    let started = Record::Started { version: "1".into(), rules_hash: String::new(), dry_run: false };
    let mut history = History::default();
    history.apply(1, world.now, &started);
    history.apply(2, world.now, &Record::received(&first));
    history.apply(3, world.now, &Record::received(&second));
    history.apply(4, world.now, &started);
    assert_eq!((history.deaths_at(2), history.deaths_at(3)), (1, 0));
    history.apply(5, world.now, &Record::SetAside { event: first.id.clone(), seq: 2, error: "x".into() });
    history.apply(6, world.now, &started);
    assert_eq!((history.deaths_at(2), history.deaths_at(3)), (0, 1));
    history.apply(7, world.now, &Record::Stopped);
    history.apply(8, world.now, &started);
    assert_eq!(history.deaths_at(3), 0, "an orderly stop is no death");
}

#[test]
fn an_alert_is_late_after_the_closing_of_an_incident_that_memory_let_go_of() {
    let mut world = World::new(&rule("a", "")).remembering(1);
    let alert = |world: &World, id: &str| {
        let push = serde_json::json!({
            "event_id": id, "event_time": world.now.as_millis(), "event_type": "a_new",
            "alert": { "alert_id": id, "channel_id": 5, "labels": { "host": id }, "incident": { "incident_id": "i1" } },
        });
        crate::event::read(push.to_string().into(), "a".into(), world.now).unwrap()
    };
    world.send("i_new", "i1", "db");
    let overtaken = alert(&world, "a1");
    world.pass(10);
    let closing = world.push("i_rslv", "i1", "db", &[("/incident/progress", "Closed".into())]);
    world.take(closing.clone());
    world.send("i_new", "i2", "web");
    assert!(world.history.newest.get(&closing.entity).is_none());
    assert_eq!(world.take(overtaken), []);
    assert!(matches!(world.records.last(), Some((_, _, Record::Decided { late_since: Some(_), .. }))));
    world.pass(10);
    let after = alert(&world, "a2");
    assert_eq!(world.take(after).len(), 1);
}
