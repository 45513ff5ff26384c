//! Decisions and turns, as the engine goes through them.

use std::time::Duration;

use serde_json::json;

use super::world::{World, rule};
use crate::journal::history::{RunState, Waits};
use crate::journal::record::{Outcome, Record, RunEnd};

fn approve(world: &mut World) {
    let (run, _) = world.history.runs.waiting().next().unwrap();
    let record = Record::Approved { run: run.clone(), by: "ops".into(), reason: None };
    world.note(record);
}

#[test]
fn a_rule_that_panics_is_set_aside_and_the_others_go_on() {
    let mut world = World::new(&[rule("a", ""), rule("poison", ""), rule("z", "")].concat());
    // No rule file can say so; the breaker's window over no failures panics.
    world.change_rule("poison", |rule| rule.guards.breaker.failures = 0);
    let decided = world.send("i_new", "i1", "db");
    let outcomes: Vec<&str> = decided.iter().map(|decided| decided.outcome.name()).collect();
    assert_eq!(outcomes, ["run", "condition-error", "run"]);
    assert!(decided[1].reservation.is_none());
    let Outcome::ConditionError { message } = &decided[1].outcome else { panic!("{:?}", decided[1]) };
    assert!(message.contains("panicked"), "{message}");
}

#[test]
fn what_panics_is_tried_a_second_time_and_no_third() {
    let tries = std::cell::Cell::new(0);
    let panics_until = |last: u32| {
        tries.set(0);
        super::twice(|| {
            tries.set(tries.get() + 1);
            assert!(tries.get() > last, "try {}", tries.get());
            tries.get()
        })
    };
    assert_eq!(panics_until(0), Ok(1));
    assert_eq!(panics_until(1), Ok(2));
    let why = panics_until(9).unwrap_err();
    assert!(why.contains("try 2") && why.contains("defect"), "{why}");
    assert_eq!(tries.get(), 2);
}

#[test]
fn a_run_whose_turn_panics_never_acts() {
    let mut world = World::new(&rule("a", "    guards: { hold: { for: 1m } }\n"));
    assert_eq!(world.outcome("i_new", "i1", "db").name(), "held");
    world.change_rule("a", |rule| rule.guards.breaker.failures = 0);
    world.pass(60);
    let ended = world.turns();
    assert!(ended[0].contains("panicked"), "{ended:?}");
    assert!(world.begun.is_empty());
}

#[test]
fn two_rules_do_not_act_on_one_target_at_a_time() {
    let mut world = World::new(&[rule("a", ""), rule("b", "")].concat());
    let decided = world.send("i_new", "i1", "db");
    assert_eq!(decided[0].outcome, Outcome::Run { queued: None });
    assert!(matches!(&decided[1].outcome, Outcome::Run { queued: Some(_) }), "{:?}", decided[1].outcome);
    assert!(world.turns().is_empty());
    assert_eq!(world.begun.len(), 1);
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    assert!(world.turns().is_empty());
    assert_eq!(world.begun.iter().map(|(rule, ..)| rule.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn an_approval_does_not_shorten_a_hold() {
    let mut world = World::new(&rule("a", "    mode: approve\n    guards: { hold: { for: 10m } }\n"));
    assert_eq!(world.outcome("i_new", "i1", "db").name(), "awaiting-approval");
    approve(&mut world);
    world.pass(599);
    world.turns();
    assert!(world.begun.is_empty());
    let until = world.now.plus(Duration::from_secs(1));
    let state = world.history.runs.waiting().next().map(|(_, run)| run.state);
    assert_eq!(state, Some(RunState::Waiting(Waits::Hold { until })));
    world.pass(1);
    assert!(world.turns().is_empty());
    assert_eq!(world.begun.len(), 1);
}

#[test]
fn an_approval_after_the_hold_acts_at_once() {
    let mut world = World::new(&rule("a", "    mode: approve\n    guards: { hold: { for: 10m } }\n"));
    world.send("i_new", "i1", "db");
    world.pass(601);
    world.turns();
    assert!(world.begun.is_empty(), "nobody has approved it");
    approve(&mut world);
    world.turns();
    assert_eq!(world.begun.len(), 1);
}

#[test]
fn a_queued_run_whose_rule_is_gone_ends_while_its_target_is_busy() {
    let mut world = World::new(&[rule("a", ""), rule("b", "")].concat());
    world.send("i_new", "i1", "db");
    let left = world.rules.rules.iter().filter(|rule| rule.id.as_str() == "a").cloned().collect();
    world.put_in_force(left);
    assert_eq!(world.turns(), ["its rule is no longer in force"]);
    assert_eq!(world.active().len(), 1);
}

#[test]
fn a_late_event_is_decided_on_only_by_rules_that_want_the_newest_state() {
    let newest = "    match: { events: [i_new], channels: [\"*\"], labels: { host: web } }\n";
    let newest = rule("newest", "    late: newest\n")
        .replace("    match: { events: [i_new, i_reopen, a_new], channels: [\"*\"] }\n", newest);
    let mut world = World::new(&[rule("strict", ""), newest].concat());
    let mut old = world.push("i_new", "i1", "db", &[]);
    world.pass(1);
    world.send("i_ack", "i1", "web");
    world.pass(1);
    old.received_at = world.now;
    let decided = world.take(old);
    // The index was asked for the newest state, which is on another host than the event.
    assert_eq!(decided.iter().map(|decided| decided.rule.as_str()).collect::<Vec<_>>(), ["newest"]);
    assert_eq!(world.begun[0].1, "web");
}

#[test]
fn a_late_event_of_what_is_closed_is_decided_on_by_nobody() {
    let mut world = World::new(&rule("newest", "    late: newest\n"));
    let old = world.push("i_new", "i1", "db", &[]);
    world.pass(1);
    world.send("i_rslv", "i1", "db");
    assert!(world.take(old).is_empty());
}

#[test]
fn a_slot_lives_until_its_incident_closes_or_reopens() {
    let mut world = World::new(&rule("a", ""));
    assert_eq!(world.outcome("i_new", "i1", "db").name(), "run");
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    world.pass(60);
    let Outcome::Suppressed { guard, until, .. } = world.outcome("i_new", "i1", "db") else { panic!("not suppressed") };
    assert_eq!((guard.as_str(), until), ("dedupe", None));
    world.pass(60);
    world.send("i_rslv", "i1", "db");
    world.pass(60);
    assert_eq!(world.outcome("i_reopen", "i1", "db").name(), "run");
}

#[test]
fn a_slot_for_a_time_lives_that_long_even_if_the_incident_closes() {
    let mut world = World::new(&rule("a", "    dedupe: { by: [incident], for: 10m }\n"));
    world.send("i_new", "i1", "db");
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    world.send("i_rslv", "i1", "db");
    world.pass(599);
    assert_eq!(world.outcome("i_reopen", "i1", "db").name(), "suppressed");
    world.pass(1);
    assert_eq!(world.outcome("i_reopen", "i1", "db").name(), "run");
}

#[test]
fn a_run_does_not_count_against_itself_when_its_turn_comes() {
    let guards =
        "    guards: { hold: { for: 1m }, rate: { max: 1, per: 1h }, blast_radius: { targets: 1, per: 1h } }\n";
    let mut world = World::new(&rule("a", guards));
    assert_eq!(world.outcome("i_new", "i1", "db").name(), "held");
    world.pass(60);
    assert!(world.turns().is_empty());
    assert_eq!(world.begun.len(), 1);
}

#[test]
fn a_run_that_waited_counts_from_when_it_began() {
    let mut world = World::new(&rule("a", "    guards: { hold: { for: 50m }, rate: { max: 1, per: 1h } }\n"));
    world.send("i_new", "i1", "db");
    world.pass(50 * 60);
    world.turns();
    assert_eq!(world.begun.len(), 1);
    world.pass(11 * 60);
    // An hour has passed since it was decided upon, but not since it began.
    assert_eq!(world.outcome("i_new", "i2", "web").name(), "suppressed");
    world.pass(49 * 60);
    assert_eq!(world.outcome("i_new", "i3", "web").name(), "held");
}

#[test]
fn a_held_run_ends_when_its_target_has_changed() {
    let mut world = World::new(&rule("a", "    guards: { hold: { for: 1m } }\n"));
    world.send("i_new", "i1", "db");
    world.pass(1);
    let moved = world.push("i_ack", "i1", "db", &[("/incident/labels/host", json!("web"))]);
    world.take(moved);
    world.pass(60);
    assert_eq!(world.turns(), ["its target changed from db to web"]);
}
