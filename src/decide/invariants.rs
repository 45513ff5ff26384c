//! No sequence of events, clock jumps and restarts makes the engine exceed a guard.
//!
//! What began is held against a second, simpler account of every promise, which shares no code with the guards: it
//! keeps lists and counts them anew each time.

mod account;
mod happening;
mod promise;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use super::world::World;
use crate::clock::Timestamp;
use crate::journal::record::{PauseScope, Record, RunEnd, RunId};
use account::{Account, Known};
use happening::{Happening, happening};
use promise::{AT_A_TIME, CONFIG, Promise, channel, rules};

fn world() -> World {
    World::with_config(&rules().0, CONFIG)
}

/// Goes through what happens in `world`, and holds everything that begins against the second account. Gives how many
/// events there were.
fn go_through(world: &mut World, happenings: &[Happening]) -> Result<usize, String> {
    let (_, promises) = rules();
    let mut account = Account::default();
    let (mut seen, mut events) = (0, 0);
    for happening in happenings {
        match happening {
            Happening::Event { kind, incident, host, skew_s } => {
                events += 1;
                let time = Timestamp::from_millis(world.now.as_millis().saturating_add(skew_s * 1_000));
                let orders = account.sent(kind, *incident, *skew_s, time, world.now);
                if *kind == "i_ack" {
                    account.called_off(*incident);
                }
                let progress = if *kind == "i_rslv" { "Closed" } else { "Triggered" };
                let changes = [
                    ("/event_time", json!(time.as_millis())),
                    ("/incident/progress", json!(progress)),
                    ("/incident/channel_id", json!(channel(*incident))),
                ];
                let event = world.push(kind, &format!("i{incident}"), &format!("h{host}"), &changes);
                let occasion = account.occasion.get(incident).copied().unwrap_or_default();
                let known = Known {
                    incident: *incident,
                    decided: world.now,
                    occasion,
                    approved: false,
                    called_off: false,
                    orders,
                };
                let before = world.begun.len();
                for decided in world.take(event) {
                    if let Some(reservation) = decided.reservation {
                        account.known.insert(reservation.run, known.clone());
                    }
                }
                check(world, &mut account, &promises, before)?;
                seen = world.begun.len();
            }
            Happening::End { which, end } => {
                let active = world.active();
                if !active.is_empty() {
                    end_run(world, &mut account, &active[which % active.len()], *end);
                }
            }
            Happening::Approve { which } => {
                let asked: Vec<RunId> = world
                    .history
                    .runs
                    .waiting()
                    .filter(|(_, run)| run.awaits_approval())
                    .map(|(id, _)| id.clone())
                    .collect();
                if !asked.is_empty() {
                    let run = asked[which % asked.len()].clone();
                    if let Some(known) = account.known.get_mut(&run) {
                        known.approved = true;
                    }
                    world.note(Record::Approved { run, by: "ops".into(), reason: None });
                }
            }
            Happening::Pass { seconds } => world.pass(*seconds),
            Happening::Pause { seconds } => {
                let until = seconds.map(|seconds| world.now.plus(Duration::from_secs(seconds)));
                account.paused = Some(until);
                world.note(Record::Paused { reason: None, until, scope: PauseScope::Everything, by: None });
            }
            Happening::Resume => {
                account.paused = None;
                world.note(Record::Resumed { scope: PauseScope::Everything, by: None });
            }
            Happening::Restart { back_s } => {
                // Pruning drops what nobody can ask for any more, so only what is asked for has to be the same; that
                // is what the account tells.
                let acting: Vec<(String, String)> = world.active().iter().filter_map(|run| of(world, run)).collect();
                world.restart(world.now.minus(Duration::from_secs(*back_s)));
                account.crashed(&acting, world.now);
            }
            Happening::Prune => world.history.prune(world.now),
        }
        world.turns();
        check(world, &mut account, &promises, seen)?;
        seen = world.begun.len();
        at_a_time(world, &promises)?;
    }
    Ok(events)
}

fn of(world: &World, run: &RunId) -> Option<(String, String)> {
    world.history.runs.get(run).map(|known| (known.rule.to_string(), known.target.clone()))
}

fn end_run(world: &mut World, account: &mut Account, run: &RunId, end: RunEnd) {
    if let Some((rule, target)) = of(world, run) {
        world.end(run, end);
        account.ended(&rule, &target, end, world.now);
    }
}

fn check(world: &World, account: &mut Account, promises: &HashMap<&str, Promise>, from: usize) -> Result<(), String> {
    for (run, (rule, target, at)) in world.begun_runs.iter().zip(&world.begun).skip(from) {
        account.begins(run, rule, target, *at, &promises[rule.as_str()])?;
    }
    Ok(())
}

fn at_a_time(world: &World, promises: &HashMap<&str, Promise>) -> Result<(), String> {
    let acting: Vec<(String, String)> = world.active().iter().filter_map(|run| of(world, run)).collect();
    if acting.len() > AT_A_TIME {
        return Err(format!("{} runs act at a time", acting.len()));
    }
    // A rule that counts by something else than the target asked not to wait for it.
    let by_target: Vec<&str> = acting
        .iter()
        .filter(|(rule, _)| promises[rule.as_str()].at_a_time == 0)
        .map(|(_, target)| target.as_str())
        .collect();
    if by_target.iter().collect::<HashSet<_>>().len() < by_target.len() {
        return Err(format!("two runs act on one target: {acting:?}"));
    }
    for (rule, promise) in promises {
        let own = acting.iter().filter(|(of, _)| of == rule).count();
        if promise.at_a_time > 0 && own > promise.at_a_time {
            return Err(format!("{own} runs of {rule} act at a time"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config::with_cases(96))]

    #[test]
    fn no_sequence_of_events_clock_jumps_and_restarts_exceeds_a_guard(
        happenings in prop::collection::vec(happening(), 1..160)
    ) {
        if let Err(wrong) = go_through(&mut world(), &happenings) {
            prop_assert!(false, "{wrong}");
        }
    }

    #[test]
    fn what_memory_let_go_of_changes_no_decision(happenings in prop::collection::vec(happening(), 1..160)) {
        let (mut all, mut few) = (world(), world().remembering(2));
        for world in [&mut all, &mut few] {
            if let Err(wrong) = go_through(world, &happenings) {
                prop_assert!(false, "{wrong}");
            }
        }
        prop_assert_eq!(all.begun, few.begun);
    }

    #[test]
    fn a_replay_of_the_records_is_the_live_history(happenings in prop::collection::vec(happening(), 1..120)) {
        let mut world = world();
        for happening in &happenings {
            match happening {
                Happening::Event { kind, incident, host, skew_s } => {
                    let time = world.now.as_millis().saturating_add(skew_s * 1_000);
                    let changes = [("/event_time", json!(time))];
                    let event = world.push(kind, &format!("i{incident}"), &format!("h{host}"), &changes);
                    world.take(event);
                }
                Happening::End { which, end } => {
                    let active = world.active();
                    if !active.is_empty() {
                        world.end(&active[which % active.len()], *end);
                    }
                }
                Happening::Pass { seconds } => world.pass(*seconds),
                Happening::Restart { back_s } => world.restart(world.now.minus(Duration::from_secs(*back_s))),
                Happening::Resume => world.note(Record::Resumed { scope: PauseScope::Everything, by: None }),
                Happening::Approve { .. } | Happening::Pause { .. } | Happening::Prune => {}
            }
            world.turns();
        }
        prop_assert_eq!(world.history.known(), world.replayed().known());
    }
}

/// How many events the long form goes through, unless `STANCH_SOAK_EVENTS` says otherwise.
const LONG: usize = 10_000_000;
/// Parts of the long form, each with a seed of its own, so that it is the same on any number of processors.
const PARTS: usize = 16;

#[test]
#[ignore = "takes minutes in a release build; `make soak` runs it"]
fn ten_million_events_exceed_no_guard() {
    let wanted = std::env::var("STANCH_SOAK_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(LONG);
    let next = AtomicUsize::new(0);
    let parts = || -> Vec<(usize, usize, usize)> {
        std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
            .take_while(|part| *part < PARTS)
            .map(|part| long_part(u8::try_from(part).unwrap(), wanted.div_ceil(PARTS)))
            .collect()
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(parts)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a guard was exceeded")).collect()
    });
    let sum = |of: fn(&(usize, usize, usize)) -> usize| done.iter().map(of).sum::<usize>();
    let (events, sequences, runs) = (sum(|part| part.0), sum(|part| part.1), sum(|part| part.2));
    assert!(events >= wanted, "only {events} events");
    assert!(runs > events / 1_000, "only {runs} runs began, which proves little");
    println!("{events} events in {sequences} sequences, {runs} runs began, no guard was exceeded");
}

/// Goes through so many events. Gives how many events, sequences and runs there were.
fn long_part(part: u8, wanted: usize) -> (usize, usize, usize) {
    // A fixed seed: a failure comes again.
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[part; 32]));
    let sequence = prop::collection::vec(happening(), 2_000);
    let (mut events, mut runs, mut sequences) = (0, 0, 0);
    while events < wanted {
        let happenings = sequence.new_tree(&mut runner).unwrap().current();
        let mut world = world();
        let more = go_through(&mut world, &happenings);
        events += more.unwrap_or_else(|wrong| panic!("part {part}, sequence {sequences}: {wrong}"));
        (runs, sequences) = (runs + world.begun.len(), sequences + 1);
    }
    (events, sequences, runs)
}
