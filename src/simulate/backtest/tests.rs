//! Backtests of entries made here, without a journal.

use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::decide::world::START;
use crate::journal::record::PauseScope;
use crate::rule::load::load;

struct Journal(HashMap<u64, Arc<Event>>);

impl Lookup for Journal {
    fn load(&self, seq: u64) -> Option<Arc<Event>> {
        self.0.get(&seq).cloned()
    }

    fn newest(&self, _entity: &Entity, _before: u64) -> Option<Newest> {
        None
    }
}

/// A set of rules with the config's part.
struct Set(RuleSet, Settings);

fn set(rules: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stanch.yaml");
    std::fs::write(&file, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/a.yaml"), format!("rules:\n{rules}")).unwrap();
    let Ok(config) = crate::config::load::load(&file) else { panic!("a valid config") };
    let loaded = load(&config.config, 1);
    let rules = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let settings = crate::engine::settings(&config.config, &crate::engine::Options::of_reader());
    Set(rules, settings)
}

fn rule(id: &str, more: &str) -> String {
    format!(
        "  - {{ id: {id}, match: {{ events: [i_new], channels: [\"*\"] }}, target: \"{{{{ labels.host }}}}\", \
         steps: [ {{ run: [/bin/true] }} ]{more} }}\n"
    )
}

/// An event of a type, an incident and a host, so many seconds after the start.
fn push(seq: u64, kind: &str, incident: &str, host: &str, seconds: u64) -> Entry {
    let at = START.plus(Duration::from_secs(seconds));
    let push = json!({
        "event_id": format!("e{seq}"), "event_time": at.as_millis(), "event_type": kind,
        "incident": { "incident_id": incident, "progress": if kind == "i_rslv" { "Closed" } else { "Triggered" },
                      "labels": { "host": host } },
    });
    Entry::Event { seq, event: Arc::new(crate::event::read(push.to_string().into(), "a".into(), at).unwrap()) }
}

const AT_ONCE: RunModel = RunModel { takes: Duration::ZERO, approvals: Approvals::Granted };

fn rules_of(Set(rules, settings): &Set) -> Rules<'_> {
    Rules { rules, settings }
}

fn ask(tried: &Set, against: Option<&Set>, model: RunModel, from: Timestamp, entries: &[Entry]) -> Report {
    let events = entries.iter().filter_map(|entry| match entry {
        Entry::Event { seq, event } => Some((*seq, Arc::clone(event))),
        _ => None,
    });
    let journal = Journal(events.collect());
    let against = against.map(rules_of);
    let question = Question { tried: rules_of(tried), against, model, from, strict_ordering: false };
    let run = || {
        let mut backtest = Backtest::new(question, &journal);
        entries.iter().for_each(|entry| backtest.take(entry));
        backtest.finish()
    };
    let report = run();
    assert_eq!(serde_json::to_string(&report).unwrap(), serde_json::to_string(&run()).unwrap());
    report
}

fn tried(rules: &str, model: RunModel, entries: &[Entry]) -> Report {
    ask(&set(rules), None, model, Timestamp::default(), entries)
}

#[test]
fn runs_targets_guards_and_hours_are_counted() {
    let rules = rule("r", ", guards: { cooldown: 30m }");
    let entries = [
        push(1, "i_new", "i1", "a", 0),
        push(2, "i_new", "i2", "a", 60),
        push(3, "i_new", "i3", "b", 120),
        push(4, "i_new", "i4", "a", 2 * 3600),
        push(5, "i_ack", "i4", "a", 2 * 3600 + 1),
    ];
    let report = tried(&rules, AT_ONCE, &entries);
    let rule = &report.tried.rules[0];
    assert_eq!((report.events, rule.runs, rule.targets), (5, 3, 2));
    assert_eq!(rule.suppressed, std::collections::BTreeMap::from([("cooldown".to_owned(), 1)]));
    assert_eq!((rule.top_targets[0].target.as_str(), rule.top_targets[0].runs), ("a", 2));
    let hours: Vec<(u64, u64)> = report.tried.hours.iter().map(|hour| (hour.targets, hour.runs)).collect();
    assert_eq!(hours, [(2, 2), (1, 1)]);
    // The journal says nothing of runs, so all of them are new.
    assert_eq!((report.difference.same, report.difference.differs[0].count), (0, 3));
    assert_eq!(report.difference.differs[0].change, Change::Added);
}

#[test]
fn a_hold_is_waited_for_and_called_off() {
    let rules = rule("r", ", guards: { hold: { for: 3m, cancel_on: [i_rslv] } }");
    let entries = [push(1, "i_new", "i1", "a", 0), push(2, "i_new", "i2", "b", 10), push(3, "i_rslv", "i1", "a", 60)];
    let report = tried(&rules, AT_ONCE, &entries);
    let rule = &report.tried.rules[0];
    assert_eq!((rule.held, rule.runs, rule.targets), (2, 1, 1));
    assert_eq!(rule.never_acted.get("cancelled"), Some(&1));
}

#[test]
fn approvals_are_given_at_once_or_never() {
    let rules = rule("r", ", mode: approve");
    let entries = [push(1, "i_new", "i1", "a", 0)];
    let granted = tried(&rules, AT_ONCE, &entries);
    assert_eq!((granted.tried.rules[0].awaiting_approval, granted.tried.rules[0].runs), (1, 1));
    let never = tried(&rules, RunModel { approvals: Approvals::Never, ..AT_ONCE }, &entries);
    assert_eq!((never.tried.rules[0].awaiting_approval, never.tried.rules[0].runs), (1, 0));
    assert_eq!(never.tried.rules[0].never_acted.get("expired"), Some(&1));
}

#[test]
fn runs_that_last_keep_others_waiting_until_these_expire() {
    let rules = rule("r", ", guards: { max_wait: 5m }");
    let entries: Vec<Entry> = (1..=3).map(|n| push(n, "i_new", &format!("i{n}"), "a", n)).collect();
    assert_eq!(tried(&rules, AT_ONCE, &entries).tried.rules[0].runs, 3);
    let report = tried(&rules, RunModel { takes: Duration::from_secs(200), ..AT_ONCE }, &entries);
    assert_eq!((report.tried.rules[0].runs, report.tried.rules[0].never_acted.get("expired")), (2, Some(&1)));
}

#[test]
fn a_pause_of_the_journal_holds_and_ends() {
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    let note = |seconds, record| Entry::Record { at: at(seconds), record: Box::new(record) };
    let entries = [
        note(1, Record::Paused { reason: None, until: None, scope: PauseScope::default(), by: None }),
        push(2, "i_new", "i1", "a", 10),
        note(20, Record::Resumed { scope: PauseScope::default(), by: None }),
        push(4, "i_new", "i2", "a", 30),
    ];
    let report = tried(&rule("r", ""), AT_ONCE, &entries);
    assert_eq!((report.tried.rules[0].runs, report.tried.rules[0].suppressed.get("pause")), (1, Some(&1)));
}

#[test]
fn two_sets_are_compared_event_by_event() {
    let entries: Vec<Entry> = (1..=4).map(|n| push(n, "i_new", &format!("i{n}"), "a", n * 3600)).collect();
    let ask = |tried: &str, other: &str| {
        let report = ask(&set(tried), Some(&set(other)), AT_ONCE, Timestamp::default(), &entries);
        let differs = report.difference.differs.iter();
        (report.difference.same, differs.map(|one| (one.rule.to_string(), one.change, one.count)).collect::<Vec<_>>())
    };
    assert_eq!(ask(&rule("r", ""), &rule("r", "")), (4, vec![]));
    assert_eq!(
        ask(&rule("s", ""), &rule("r", "")),
        (0, vec![("r".into(), Change::Removed, 4), ("s".into(), Change::Added, 4)])
    );
    assert_eq!(
        ask(&[rule("r", ""), rule("s", "")].concat(), &rule("r", "")),
        (4, vec![("s".into(), Change::Added, 4)]),
        "one on the same target waits for the other, and then acts"
    );
    assert_eq!(
        ask(&rule("r", ", guards: { cooldown: 90m }"), &rule("r", "")),
        (2, vec![("r".into(), Change::Removed, 2)])
    );
    assert_eq!(ask(&rule("r", ", mode: dry-run"), &rule("r", "")), (0, vec![("r".into(), Change::NowShown, 4)]));
    assert_eq!(ask(&rule("r", ""), &rule("r", ", mode: dry-run")), (0, vec![("r".into(), Change::NowActs, 4)]));
    let elsewhere = rule("r", "").replace("labels.host", "incident.incident_id");
    assert_eq!(ask(&elsewhere, &rule("r", "")), (0, vec![("r".into(), Change::OtherTarget, 4)]));
}

#[test]
fn what_the_journal_says_was_done_is_the_other_side() {
    let entry = push(1, "i_new", "i1", "a", 0);
    let Entry::Event { event, .. } = &entry else { unreachable!() };
    let set = set(&rule("r", ""));
    let mut history = crate::journal::history::History::default();
    let question = crate::decide::Question {
        event,
        seq: 1,
        newest: None,
        rules: &set.0,
        settings: &set.1,
        scope: Scope::Concerned,
    };
    let decided = crate::decide::decide(&question, &mut history, START).each.remove(0).decided;
    let run = decided.reservation.as_ref().unwrap().run.clone();
    let (rule, id) = (decided.rule.clone(), event.id.clone());
    let records = [
        Record::Decided {
            from_seq: 1,
            to_seq: 1,
            event: Some(id.clone()),
            generation: 1,
            late_since: None,
            decisions: vec![decided],
        },
        Record::RunIntended { run, rule, event: id, generation: 1, target: "a".into(), plan: serde_json::Value::Null },
    ];
    let entries: Vec<Entry> = std::iter::once(entry)
        .chain(records.map(|record| Entry::Record { at: START, record: Box::new(record) }))
        .collect();
    let report = ask(&set, None, AT_ONCE, Timestamp::default(), &entries);
    assert_eq!((report.difference.same, report.difference.differs.len()), (1, 0));
    let none = tried(&self::rule("other", ""), AT_ONCE, &entries);
    let changes: Vec<Change> = none.difference.differs.iter().map(|one| one.change).collect();
    assert_eq!(changes, [Change::Added, Change::Removed]);
}

#[test]
fn what_comes_before_the_window_fills_the_guards_and_is_not_counted() {
    let rules = rule("r", ", guards: { cooldown: 30m }");
    let entries = [push(1, "i_new", "i1", "a", 0), push(2, "i_new", "i2", "a", 600)];
    let from = START.plus(Duration::from_secs(300));
    let report = ask(&set(&rules), None, AT_ONCE, from, &entries);
    assert_eq!((report.events, report.tried.rules[0].runs), (1, 0));
    assert_eq!(report.tried.rules[0].suppressed.get("cooldown"), Some(&1));
}

#[test]
fn events_without_a_body_are_named_and_still_make_others_late() {
    let newer = push(2, "i_ack", "i1", "a", 60);
    let Entry::Event { event, .. } = &newer else { unreachable!() };
    let gone = |seq| Entry::Bodiless(Observed { seq, ..Observed::of(event, seq) });
    let entries = [gone(1), gone(2), push(3, "i_new", "i1", "a", 0)];
    let report = tried(&rule("r", ""), AT_ONCE, &entries);
    let missing = report.without_body.unwrap();
    assert_eq!((missing.count, missing.first.event.as_str()), (2, "e2"));
    assert_eq!((report.events, report.tried.late, report.tried.rules[0].runs), (1, 1, 0));
}

#[test]
fn errors_are_counted_with_the_first_of_them() {
    let rules = [rule("r", ", when: labels.host > 5"), rule("s", "").replace("labels.host", "labels.none")];
    let report = tried(&rules.concat(), AT_ONCE, &[push(1, "i_new", "i1", "a", 0), push(2, "i_new", "i2", "a", 1)]);
    let [r, s] = report.tried.rules.as_slice() else { panic!("two rules") };
    assert_eq!((r.condition_errors, s.plan_errors), (2, 2));
    assert_eq!(s.first_error.as_ref().unwrap().event.as_str(), "e1");
}
