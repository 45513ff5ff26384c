//! Each guard: when it passes, when it objects, and until when.

mod lists;
mod windows;

use std::time::Duration;

use serde_json::json;

use crate::clock::Timestamp;
use crate::decide::world::{START, World, rule};
use crate::journal::record::{Outcome, PauseScope, Record, RunEnd};
use crate::rule::RuleId;

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn guarded(guards: &str) -> World {
    World::new(&rule("a", &format!("    guards: {{ {guards} }}\n")))
}

/// A new incident on a host; what acts at once ends at once.
fn act(world: &mut World, incident: &str, host: &str) -> Outcome {
    let outcome = world.outcome("i_new", incident, host);
    for run in world.active() {
        world.end(&run, RunEnd::Succeeded);
    }
    outcome
}

#[track_caller]
fn acts(world: &mut World, incident: &str, host: &str) {
    assert_eq!(act(world, incident, host), Outcome::Run { queued: None });
}

/// Expects an objection: by which guard, and until when.
#[track_caller]
fn objects(outcome: &Outcome, expected: &str, expected_until: Option<Timestamp>) {
    match outcome {
        Outcome::Suppressed { guard, until, .. } => assert_eq!((guard.as_str(), *until), (expected, expected_until)),
        other => panic!("{expected} should object: {other:?}"),
    }
}

fn paused(scope: PauseScope, until: Option<Timestamp>) -> Record {
    Record::Paused { reason: None, until, scope, by: None }
}

#[test]
fn a_pause_of_a_rule_or_a_channel_holds_back_nothing_else() {
    let mut world = World::new(&[rule("a", ""), rule("b", "")].concat());
    let outcomes = |world: &mut World, incident: &str| -> Vec<&'static str> {
        let decided = world.send("i_new", incident, incident);
        for run in world.active() {
            world.end(&run, RunEnd::Succeeded);
        }
        decided.iter().map(|one| one.outcome.name()).collect()
    };
    world.note(paused(PauseScope::Rule(RuleId::new("a")), None));
    assert_eq!(outcomes(&mut world, "i1"), ["suppressed", "run"]);
    world.note(Record::Resumed { scope: PauseScope::Rule(RuleId::new("a")), by: None });
    for channel in ["Orders", "5"] {
        world.note(paused(PauseScope::Channel(channel.into()), None));
        assert_eq!(outcomes(&mut world, "i2"), ["suppressed", "suppressed"]);
        world.note(Record::Resumed { scope: PauseScope::Channel(channel.into()), by: None });
    }
    world.note(paused(PauseScope::Channel("6".into()), None));
    assert_eq!(outcomes(&mut world, "i3"), ["run", "run"]);
}

#[test]
fn a_run_that_waits_outlasts_a_pause_of_its_channel_without_holding_up_others() {
    let mut world = guarded("hold: { for: 1m }");
    world.send("i_new", "i1", "a");
    world.note(paused(PauseScope::Channel("Orders".into()), None));
    world.pass(60);
    assert!(world.turns().is_empty() && world.active().is_empty());
    world.note(Record::Resumed { scope: PauseScope::Channel("Orders".into()), by: None });
    world.turns();
    assert_eq!(world.active().len(), 1);
}

#[test]
fn a_pause_objects_until_it_ends() {
    let mut world = World::new(&rule("a", ""));
    world.note(paused(PauseScope::Everything, Some(after(60))));
    objects(&act(&mut world, "i1", "a"), "pause", Some(after(60)));
    world.pass(60);
    acts(&mut world, "i1", "a");
    world.note(paused(PauseScope::Everything, None));
    objects(&act(&mut world, "i2", "a"), "pause", None);
    world.note(Record::Resumed { scope: PauseScope::Everything, by: None });
    acts(&mut world, "i2", "a");
}

#[test]
fn cooldown_counts_from_the_end_of_the_run() {
    let mut world = guarded("cooldown: 10m");
    world.send("i_new", "i1", "a");
    world.pass(100);
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    objects(&act(&mut world, "i2", "a"), "cooldown", Some(after(700)));
    acts(&mut world, "i3", "b");
    world.pass(600);
    acts(&mut world, "i2", "a");
}

#[test]
fn rate_objects_until_the_oldest_run_leaves_the_window() {
    let mut world = guarded("rate: { max: 2, per: 10m }");
    acts(&mut world, "i1", "a");
    world.pass(60);
    acts(&mut world, "i2", "b");
    world.pass(60);
    objects(&act(&mut world, "i3", "c"), "rate", Some(after(600)));
    world.pass(480);
    acts(&mut world, "i3", "c");
    objects(&act(&mut world, "i4", "d"), "rate", Some(after(660)));
}

#[test]
fn blast_radius_lets_a_known_target_through() {
    let mut world = guarded("blast_radius: { targets: 1, per: 10m }");
    acts(&mut world, "i1", "a");
    acts(&mut world, "i2", "a");
    objects(&act(&mut world, "i3", "b"), "blast_radius", Some(after(600)));
    world.pass(600);
    acts(&mut world, "i3", "b");
}

#[test]
fn a_breaker_opens_after_its_failures_and_closes_by_time() {
    let mut world = guarded("breaker: { failures: 2, within: 10m, open_for: 1h }");
    for (incident, host) in [("i1", "a"), ("i2", "b")] {
        world.send("i_new", incident, host);
        world.pass(30);
        let run = world.active()[0].clone();
        world.end(&run, RunEnd::Failed);
    }
    objects(&act(&mut world, "i3", "c"), "breaker", Some(after(3660)));
    world.pass(3600);
    acts(&mut world, "i3", "c");
}

#[test]
fn threshold_acts_on_the_match_that_completes_it() {
    let mut world = guarded("threshold: { count: 3, within: 5m }");
    objects(&act(&mut world, "i1", "a"), "threshold", None);
    world.pass(200);
    objects(&act(&mut world, "i2", "a"), "threshold", None);
    world.pass(100);
    // The first has left the window.
    objects(&act(&mut world, "i3", "a"), "threshold", None);
    world.pass(10);
    acts(&mut world, "i4", "a");
}

#[test]
fn attempts_escalate_once_and_then_object() {
    let mut world = guarded("attempts: { max: 1, per: 1h, by: target, then: [ { run: [/bin/false] } ] }");
    acts(&mut world, "i1", "a");
    world.pass(60);
    let escalated = world.send("i_new", "i2", "a");
    assert!(escalated[0].plan.as_ref().unwrap().to_string().contains("/bin/false"), "{escalated:?}");
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    objects(&act(&mut world, "i3", "a"), "attempts", Some(after(3600)));
    acts(&mut world, "i4", "b");
}

/// An alert's push; of `incident` unless that is empty.
fn alert(world: &World, kind: &str, alert: &str, incident: &str) -> crate::event::Event {
    let mut push = json!({
        "event_id": format!("{kind} {alert}"), "event_time": world.now.as_millis(), "event_type": kind,
        "alert": { "alert_id": alert, "progress": "Triggered", "channel_id": 5, "labels": { "host": alert } },
    });
    if !incident.is_empty() {
        push["alert"]["incident"] = json!({ "incident_id": incident });
    }
    crate::event::read(push.to_string().into(), "a".into(), world.now).unwrap()
}

#[test]
fn a_held_run_for_an_alert_is_called_off_by_its_own_alert_or_incident_and_no_other() {
    for (incident, kind, other, called_off) in [
        ("", "a_update", "a1", true),
        ("", "a_update", "a2", false),
        ("i1", "a_update", "a1", true),
        ("i1", "a_update", "a2", false),
    ] {
        let mut world = guarded("hold: { for: 5m, cancel_on: [a_update, i_ack] }");
        let event = alert(&world, "a_new", "a1", incident);
        assert_eq!(world.take(event)[0].outcome.name(), "held");
        let event = alert(&world, kind, other, incident);
        world.take(event);
        assert_eq!(world.history.runs.waiting_len() == 0, called_off, "{incident} {kind} {other}");
    }
    let mut world = guarded("hold: { for: 5m, cancel_on: [i_ack] }");
    let event = alert(&world, "a_new", "a1", "i1");
    world.take(event);
    world.send("i_ack", "i2", "a");
    assert_eq!(world.history.runs.waiting_len(), 1);
    world.send("i_ack", "i1", "a");
    assert_eq!(world.history.runs.waiting_len(), 0);
}

#[test]
fn a_storm_on_the_channel_holds_off() {
    let mut world = guarded("storm_hold: 10m");
    world.send("i_storm", "i0", "a");
    world.pass(60);
    objects(&act(&mut world, "i1", "a"), "storm_hold", Some(after(600)));
    world.pass(540);
    acts(&mut world, "i1", "a");
}

#[test]
fn an_acknowledged_incident_is_left_to_the_person() {
    let mut world = guarded("unless_acked: true");
    let acked = world.push("i_new", "i1", "a", &[("/incident/progress", json!("Processing"))]);
    let decided = world.take(acked);
    objects(&decided[0].outcome, "unless_acked", None);
    acts(&mut world, "i2", "a");
}

#[test]
fn concurrency_skips_or_queues() {
    let mut world = guarded("concurrency: { max: 1, by: rule, over: skip }");
    world.send("i_new", "i1", "a");
    objects(&world.outcome("i_new", "i2", "b"), "concurrency", None);
    let mut world = guarded("concurrency: { max: 1, by: rule }");
    world.send("i_new", "i1", "a");
    assert!(matches!(world.outcome("i_new", "i2", "b"), Outcome::Run { queued: Some(_) }));
    let run = world.active()[0].clone();
    world.end(&run, RunEnd::Succeeded);
    // The one that waits goes first.
    assert!(matches!(world.outcome("i_new", "i3", "c"), Outcome::Run { queued: Some(_) }));
}

#[test]
fn a_run_that_waited_too_long_expires_and_gives_back_its_slot() {
    let mut world = guarded("max_wait: 5m");
    world.send("i_new", "i1", "a");
    world.send("i_new", "i2", "a");
    world.pass(300);
    assert_eq!(world.turns(), ["expired"]);
    assert!(matches!(world.outcome("i_new", "i2", "a"), Outcome::Run { queued: Some(_) }), "its slot is free again");
}

#[test]
fn a_run_whose_time_goes_by_while_the_engine_is_down_expires() {
    let mut world = guarded("hold: { for: 2m }, max_wait: 5m");
    assert_eq!(world.outcome("i_new", "i1", "a").name(), "held");
    world.pass(60);
    world.restart(after(8 * 60));
    assert_eq!(world.turns(), ["expired"]);
    assert!(world.begun.is_empty());
}

#[test]
fn windows_go_on_over_restarts_and_end_when_they_would_have() {
    for (guard, settings) in [
        ("cooldown", "cooldown: 10m"),
        ("rate", "rate: { max: 1, per: 10m, by: target }"),
        ("blast_radius", "blast_radius: { targets: 1, per: 10m }"),
        ("breaker", "breaker: { failures: 1, within: 10m, open_for: 10m }"),
        ("attempts", "attempts: { max: 1, per: 10m, by: target, then: [ { run: [/bin/false] } ] }"),
        ("storm_hold", "storm_hold: 10m"),
    ] {
        let mut world = guarded(settings);
        // What begins each window, at the start of the world.
        match guard {
            "storm_hold" => drop(world.send("i_storm", "i0", "a")),
            "breaker" => {
                world.send("i_new", "i0", "a");
                let run = world.active()[0].clone();
                world.end(&run, RunEnd::Failed);
            }
            "attempts" => {
                acts(&mut world, "i0", "a");
                acts(&mut world, "i1", "a");
            }
            _ => acts(&mut world, "i0", "a"),
        }
        let host = if guard == "blast_radius" { "b" } else { "a" };
        for (nth, at) in [1, 300, 599].into_iter().enumerate() {
            world.restart(after(at));
            match act(&mut world, &format!("again {nth}"), host) {
                Outcome::Suppressed { guard: by, .. } => assert_eq!(by, guard, "after {at} s"),
                other => panic!("{guard} should object after {at} s: {other:?}"),
            }
        }
        world.restart(after(600));
        assert_eq!(act(&mut world, "after", host), Outcome::Run { queued: None }, "{guard}");
    }
}

#[test]
fn a_budget_counts_over_all_rules() {
    let config = "budgets: [ { name: all, rate: { max: 1, per: 10m } } ]\n";
    let mut world = World::with_config(&[rule("a", ""), rule("b", "")].concat(), config);
    let decided = world.send("i_new", "i1", "a");
    assert_eq!(decided[0].outcome.name(), "run");
    objects(&decided[1].outcome, "budget:all", Some(after(600)));
}

#[test]
fn active_names_the_schedule_that_is_on_and_when_it_ends() {
    let config = "schedules: { noon: { from: \"12:00\", to: \"13:00\", zone: UTC } }\n";
    let mut world = World::with_config(&rule("a", "    guards: { active: { except: [noon] } }\n"), config);
    objects(&act(&mut world, "i1", "a"), "active", Some(after(3600)));
    world.pass(3600);
    acts(&mut world, "i1", "a");
    let mut world = World::with_config(&rule("a", "    guards: { active: { only: [noon] } }\n"), config);
    acts(&mut world, "i1", "a");
    world.pass(3600);
    objects(&act(&mut world, "i2", "a"), "active", Some(after(86_400)));
}
