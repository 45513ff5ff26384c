//! How long `stanch backtest` takes: makes a journal, and runs the program on it.
//!
//! `STANCH_BENCH_EVENTS` is how many events the journal has; 100,000 unless given. Each is a push of about 2 kB, one
//! in a hundred concerns a rule, and every one has been decided on, as a daemon would have. The time is that of the
//! whole command, from its start to its end.

#![expect(clippy::unwrap_used, reason = "a bench may end early")]
#![expect(clippy::print_stdout, reason = "the figures are the result")]
#![expect(clippy::disallowed_methods, reason = "it starts the program that it measures")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use stanch::clock::{Clock, Stopwatch, SystemClock, Timestamp};
use stanch::decide::{Question, Scope, decide};
use stanch::engine::{Options, settings};
use stanch::event;
use stanch::journal::history::History;
use stanch::journal::record::Record;
use stanch::journal::{Intake, RecordSink, Recovered};

#[path = "load/push.rs"]
mod push;

/// How many rules the set has.
const RULES: usize = 100;
/// How many events are on their way into the journal at a time; one commit takes as many.
const AT_ONCE: usize = 512;
/// One event in so many concerns a rule.
const CONCERNED: usize = 100;

fn main() {
    let events: usize = match std::env::var("STANCH_BENCH_EVENTS") {
        Ok(given) => given.parse().unwrap(),
        Err(_) => 100_000,
    };
    let folder = tempfile::tempdir().unwrap();
    let begun = Stopwatch::start();
    make(folder.path(), events);
    println!("journal of {events} events made in {:.1} s", begun.elapsed().as_secs_f64());
    measure(folder.path(), events, &[]);
    let rules = folder.path().join("rules").display().to_string();
    measure(folder.path(), events, &["--against", &rules]);
}

fn measure(folder: &Path, events: usize, more: &[&str]) {
    let begun = Stopwatch::start();
    let output = Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(["backtest", "--format", "json", "-c"])
        .arg(folder.join("stanch.yaml"))
        .args(more)
        .output()
        .unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["report"]["events"], events);
    let each = took * 1e6 / f64::from(u32::try_from(events).unwrap());
    println!("backtest of {events} events over {RULES} rules {more:?}: {took:.2} s, {each:.1} µs an event");
}

/// A folder with a config, rules, and a journal in which every event was decided on.
fn make(folder: &Path, events: usize) {
    std::fs::create_dir(folder.join("rules")).unwrap();
    let rule = |number: usize| {
        format!(
            "  - id: rule-{number}\n    match:\n      events: [i_new]\n      channels: [Order System]\n      labels: {{ check: disk full, resource: db-{} }}\n    target: \"{{{{ labels.resource }}}}\"\n    mode: dry-run\n    guards: {{ rate: {{ max: 1000000, per: 1h }} }}\n    steps: [ {{ run: [/bin/true, \"{{{{ target }}}}\"] }} ]\n",
            number * CONCERNED
        )
    };
    let rules: String = (0..RULES).map(rule).collect();
    std::fs::write(folder.join("rules/rules.yaml"), format!("rules:\n{rules}")).unwrap();
    let config = "listen: 127.0.0.1:0\nsources: [ { name: bench, path: /bench, auth: none } ]\n";
    std::fs::write(folder.join("stanch.yaml"), config).unwrap();
    let config = stanch::config::load::load(&folder.join("stanch.yaml")).unwrap().config;
    let rules = stanch::rule::load::load(&config, 1).set.unwrap();
    let settings = settings(&config, &Options::of_reader());

    let clock = Arc::new(SystemClock::new());
    let started = clock.now();
    let recovered = Recovered::open(&config.data, false).unwrap();
    let (_, mut opened) = recovered.start(Arc::clone(&clock) as Arc<dyn Clock>, |_| ()).unwrap();
    let journal = opened.journal.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Whoever consumes gives the places back.
    let consumer = runtime.spawn(async move { while opened.committed.recv().await.is_some() {} });
    let mut history = History::default();
    let mut seq = 0;
    for first in (0..events).step_by(AT_ONCE) {
        let chunk: Vec<_> = (first..events.min(first + AT_ONCE)).map(|number| read(number, started)).collect();
        let mut decisions = Vec::new();
        let from_seq = seq + 1;
        for event in &chunk {
            seq += 1;
            let question =
                Question { event, seq, newest: None, rules: &rules, settings: &settings, scope: Scope::Concerned };
            let each = decide(&question, &mut history, event.received_at).each;
            if !each.is_empty() {
                decisions.push((seq, event.id.clone(), each));
            }
        }
        let records = records(from_seq, seq, decisions);
        seq += records.len() as u64;
        runtime.block_on(async {
            let admitted = chunk.into_iter().map(|event| {
                let journal = journal.clone();
                tokio::spawn(async move { journal.admit(event).await.unwrap() })
            });
            for task in admitted.collect::<Vec<_>>() {
                task.await.unwrap();
            }
            journal.append(records).await.unwrap();
        });
    }
    journal.close();
    opened.writer.join().unwrap();
    runtime.block_on(consumer).unwrap();
}

fn read(number: usize, started: Timestamp) -> stanch::event::Event {
    // The labels repeat, so that some events concern a rule.
    let body = push::body(number, u128::try_from(started.as_millis()).unwrap())
        .replace(&format!("\"db-{number}\""), &format!("\"db-{}\"", number % (RULES * CONCERNED)));
    event::read(body.into(), "bench".into(), started).unwrap()
}

/// What a daemon writes of these decisions: one record for each that names a rule, and one for those between.
fn records(
    from_seq: u64,
    to_seq: u64,
    decided: Vec<(u64, stanch::event::EventId, Vec<stanch::decide::Decision>)>,
) -> Vec<Record> {
    let record = |from_seq, to_seq, event, decisions| Record::Decided {
        from_seq,
        to_seq,
        event,
        generation: 1,
        late_since: None,
        decisions,
    };
    let mut records = Vec::new();
    let mut next = from_seq;
    for (seq, event, each) in decided {
        if next < seq {
            records.push(record(next, seq - 1, None, Vec::new()));
        }
        records.push(record(seq, seq, Some(event), each.into_iter().map(|one| one.decided).collect()));
        next = seq + 1;
    }
    if next <= to_seq {
        records.push(record(next, to_seq, None, Vec::new()));
    }
    records
}
