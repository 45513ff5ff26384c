//! What counts every item of a list.

use super::*;

/// A rule that goes over the hosts of a label, `a,b,c`.
fn rolling(id: &str, guards: &str) -> String {
    format!(
        "  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: cluster\n    \
         dedupe: {{ by: [event], for: 1h }}\n    guards: {{ {guards} }}\n    steps: [ {{ each: {{ in: 'labels.host.split(\",\")', steps: [ {{ run: [/bin/true] }} ] }} }} ]\n"
    )
}

/// The same with a target of its own for each incident, so that only the lists can be in each other's way.
fn rolling_apart(guards: &str) -> String {
    rolling("a", guards).replace("target: cluster", "target: 'set {{ incident.incident_id }}'")
}

#[test]
fn a_radius_counts_every_host_of_a_list_and_not_what_they_are_called_together() {
    let mut world = World::new(&rolling("a", "blast_radius: { targets: 3, per: 30m, by: rule }"));
    acts(&mut world, "i1", "a,b");
    acts(&mut world, "i2", "b,c");
    objects(&act(&mut world, "i3", "c,d"), "blast_radius", Some(after(1800)));
    acts(&mut world, "i4", "a,b,c");
    // No time makes room for more hosts than the radius has.
    objects(&act(&mut world, "i5", "d,e,f,g"), "blast_radius", None);
}

#[test]
fn rate_and_cooldown_by_target_count_every_host_of_a_list() {
    let mut world = World::new(&rolling_apart("rate: { max: 1, per: 1h, by: target }"));
    acts(&mut world, "i1", "a,b");
    acts(&mut world, "i2", "c");
    objects(&act(&mut world, "i3", "d,b"), "rate", Some(after(3600)));
    let mut world = World::new(&rolling_apart("cooldown: 10m"));
    acts(&mut world, "i1", "a,b");
    objects(&act(&mut world, "i2", "b,c"), "cooldown", Some(after(600)));
    acts(&mut world, "i3", "c");
}

#[test]
fn a_run_over_a_list_takes_the_locks_of_all_its_hosts_at_once() {
    let mut world = World::new(&rolling_apart("unless_acked: true"));
    let behind = |outcome: Outcome| match outcome {
        Outcome::Run { queued } => queued.map(|reason| reason.split(' ').next().unwrap().to_owned()),
        other => panic!("it should run: {other:?}"),
    };
    assert_eq!(behind(world.outcome("i_new", "i1", "a,b")), None);
    assert_eq!(behind(world.outcome("i_new", "i2", "b,c")).as_deref(), Some("target:b"));
    // c is free, but whoever waits for it came first; d is in nobody's way.
    assert_eq!(behind(world.outcome("i_new", "i3", "c")).as_deref(), Some("target:c"));
    world.send("i_new", "i4", "d");
    assert!(world.turns().is_empty());
    let first = world.active();
    assert_eq!(first.len(), 2);
    first.iter().for_each(|run| world.end(run, RunEnd::Succeeded));
    assert!(world.turns().is_empty());
    assert_eq!(world.active().len(), 1, "the second acts, and the third waits for it");
    let replayed = world.replayed();
    assert_eq!((&world.history.runs, &world.history.counts), (&replayed.runs, &replayed.counts));
}

#[test]
fn a_list_that_is_empty_or_repeats_itself_is_a_plan_error() {
    let mut world = World::new(&rolling("a", "unless_acked: true"));
    for hosts in ["", "a,a", "a,,b", "a,*", "all"] {
        assert!(matches!(act(&mut world, "i1", hosts), Outcome::PlanError { .. }), "{hosts:?}");
    }
}
