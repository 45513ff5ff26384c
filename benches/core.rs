//! The parts: matching, a condition, a decision, and the journal under different numbers of producers.

#![expect(clippy::unwrap_used, reason = "a bench may end early")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stanch::clock::{Clock, Stopwatch, SystemClock, Timestamp};
use stanch::config::Config;
use stanch::event::{self, Event};
use stanch::journal::{Intake, Recovered};
use stanch::matcher;
use stanch::rule::RuleSet;
use stanch::rule::sandbox::Extra;
use stanch::rule::view::EventView;

#[path = "load/push.rs"]
mod push;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn event(number: usize) -> Event {
    event::read(push::body(number, 1_790_000_000_000).into(), "bench".into(), NOW).unwrap()
}

/// A folder with a config and these files of rules, loaded.
fn load(files: &[String]) -> (tempfile::TempDir, Config, RuleSet) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    for (number, text) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("rules/{number}.yaml")), text).unwrap();
    }
    let config = "listen: 127.0.0.1:0\nsources: [ { name: bench, path: /bench, auth: none } ]\n";
    std::fs::write(folder.path().join("stanch.yaml"), config).unwrap();
    let config = stanch::config::load::load(&folder.path().join("stanch.yaml")).unwrap().config;
    let set = stanch::rule::load::load(&config, 1).set.unwrap();
    (folder, config, set)
}

/// So many rules that differ in one label, a thousand to a file.
fn rules(count: usize) -> Vec<String> {
    let rule = |number: usize| {
        format!(
            "  - id: rule-{number}\n    match:\n      events: [i_new, i_reopen]\n      channels: [Order System]\n      title: {{ contains: disk }}\n      labels: {{ check: disk full, resource: db-{number} }}\n    steps: [ {{ run: [/bin/true] }} ]\n"
        )
    };
    let numbers: Vec<usize> = (0..count).collect();
    numbers
        .chunks(1000)
        .map(|chunk| format!("rules:\n{}", chunk.iter().map(|number| rule(*number)).collect::<String>()))
        .collect()
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    for count in [10, 1_000, 10_000] {
        let (_folder, _, set) = load(&rules(count));
        let (concerned, unconcerned) = (event(5), event(999_999));
        let mut found = Vec::new();
        let mut ask = |event: &Event| {
            set.index.candidates(event, &mut found);
            found.iter().filter(|place| matcher::holds(&set.rules[**place as usize].matching, event).is_ok()).count()
        };
        assert_eq!((ask(&concerned), ask(&unconcerned)), (1, 0));
        group.bench_function(format!("{count} rules, one concerned"), |b| b.iter(|| ask(black_box(&concerned))));
        group.bench_function(format!("{count} rules, none concerned"), |b| b.iter(|| ask(black_box(&unconcerned))));
    }
    group.finish();
}

fn condition(criterion: &mut Criterion) {
    let text = "rules:\n  - id: one\n    match: { events: [\"*\"], channels: [\"*\"] }\n    when: incident.alert_cnt >= 1 && !labels.resource.starts_with(\"canary\")\n    steps: [ { run: [/bin/true] } ]\n";
    let (_folder, _, set) = load(&[text.to_owned()]);
    let event = event(1);
    let when = set.rules[0].when.as_ref().unwrap();
    let extra = Extra { target: Some("db-1"), now: NOW, names: &[] };
    let view = EventView::new(&event);
    assert!(when.holds(&set.sandbox, &view, extra).unwrap());
    let mut group = criterion.benchmark_group("condition");
    group.bench_function("event converted before", |b| b.iter(|| when.holds(&set.sandbox, &view, extra)));
    group.bench_function("event converted for it", |b| {
        b.iter(|| when.holds(&set.sandbox, &EventView::new(black_box(&event)), extra));
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let body = bytes::Bytes::from(push::body(1, 1_790_000_000_000));
    let mut group = criterion.benchmark_group("body");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("read a push", |b| {
        b.iter_batched(|| body.clone(), |body| event::read(body, "bench".into(), NOW), BatchSize::SmallInput);
    });
    group.finish();
}

fn journal(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    let mut number = 0;
    for producers in [1usize, 64, 256] {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let recovered = Recovered::open(folder.path(), false).unwrap();
        let (_, mut opened) = recovered.start(clock, |_| ()).unwrap();
        let journal = opened.journal.clone();
        // Whoever consumes gives the places back.
        let consumer = runtime.spawn(async move { while opened.committed.recv().await.is_some() {} });
        group.bench_function(format!("durable pushes, {producers} producers"), |b| {
            b.iter_custom(|iterations| {
                let each = usize::try_from(iterations).unwrap().div_ceil(producers);
                let events: Vec<Vec<Event>> = (0..producers)
                    .map(|_| {
                        let from = number;
                        number += each;
                        (from..number).map(event).collect()
                    })
                    .collect();
                let begun = Stopwatch::start();
                runtime.block_on(async {
                    let mut tasks = Vec::new();
                    for events in events {
                        let journal = journal.clone();
                        tasks.push(tokio::spawn(async move {
                            for event in events {
                                journal.admit(event).await.unwrap();
                            }
                        }));
                    }
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
                // What was measured is `each * producers` pushes, which is at least what was asked for.
                let done = u32::try_from(each * producers).unwrap();
                begun.elapsed() / done * u32::try_from(iterations).unwrap()
            });
        });
        journal.close();
        opened.writer.join().unwrap();
        runtime.block_on(consumer).unwrap();
    }
    group.finish();
}

/// What `stanch check` does: a set of ten thousand rules with conditions, templates, guards and scripts of their own.
fn checking(criterion: &mut Criterion) {
    let rule = |number: usize| {
        format!(
            "  - id: rule-{number}
    match:
      events: [i_new, i_reopen]
      channels: [Order System]
      labels: {{ check: disk full, env: {{ not: dev, exists: true }}, host: {{ regex: '^db-{number}-[0-9]+$' }} }}
    when: incident.alert_cnt >= 1 && !labels.resource.starts_with(\"canary-{number}\")
    target: \"{{{{ labels.resource }}}}\"
    guards: {{ cooldown: 30m, rate: {{ max: 3, per: 1h, by: target }} }}
    steps:
      - {{ name: heal, run: [/bin/echo, \"--host={{{{ target }}}}\"] }}
      - {{ run: [/bin/true], if: steps.heal.exit_code == 0 }}
"
        )
    };
    let files: Vec<String> = (0..10)
        .map(|file| format!("rules:\n{}", (file * 1000..(file + 1) * 1000).map(rule).collect::<String>()))
        .collect();
    let (_folder, config, _) = load(&files);
    let mut group = criterion.benchmark_group("checking");
    group.sample_size(10);
    group.bench_function("10000 rules", |b| {
        b.iter(|| {
            let checked = stanch::rule::load::check(&config, &[], &stanch::rule::vocabulary::Vocabulary::default());
            assert_eq!((checked.summary.rules, checked.diagnostics.len()), (10_000, 0));
        });
    });
    group.finish();
}

criterion_group!(benches, matching, condition, reading, checking, journal);
criterion_main!(benches);
