//! The fuzz targets on their seeds and on a fixed number of changed ones, so that every change meets them without
//! libFuzzer. `make fuzz` runs the same targets with it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "../../fuzz/targets.rs"]
mod targets;

use targets::{TARGETS, Target};

/// Changed inputs for each target.
const CASES: u32 = 400;

/// Words that the readers give a meaning to; chance alone would seldom write them.
const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "| default(\"\")",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{feff}",
    "\r\n",
    "\t",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "|\n",
    ">-\n",
    "---\n",
    "rules:\n",
    "when: ",
    "- id: ",
    "[[[[[[[[",
    "{\"a\":",
    "1e999",
    "-0",
    "18446744073709551616",
    "null",
    "labels.",
    "event[\"",
    "loop {",
    "fn f() {",
    "=> ",
    "`${",
    "::",
    "/*",
    "0x",
    "\"",
    "'",
    "\\",
    ": ",
    "#",
];

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Word(usize, &'static str),
    Remove(usize, usize),
    Repeat(usize, usize, usize),
    /// The rest of another seed from there on.
    Splice(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..4_096_usize;
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at(), prop::sample::select(WORDS)).prop_map(|(at, word)| Change::Word(at, word)),
        1 => (at(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (at(), 1..40_usize, 1..60_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => (at(), at()).prop_map(|(at, from)| Change::Splice(at, from)),
    ]
}

fn changed(mut data: Vec<u8>, other: &[u8], changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: usize| at % (data.len() + 1);
        match *change {
            Change::Set(at, byte) => {
                let at = place(at);
                if let Some(old) = data.get_mut(at) {
                    *old = byte;
                }
            }
            Change::Word(at, word) => {
                let at = place(at);
                data.splice(at..at, word.bytes());
            }
            Change::Remove(at, length) => {
                let (from, to) = (place(at), (place(at) + length).min(data.len()));
                data.drain(from..to);
            }
            Change::Repeat(at, length, times) => {
                let (from, to) = (place(at), (place(at) + length).min(data.len()));
                let part = data[from..to].repeat(times);
                data.splice(to..to, part);
            }
            Change::Splice(at, from) => {
                data.truncate(place(at));
                data.extend_from_slice(&other[from % (other.len() + 1)..]);
            }
        }
    }
    data
}

fn smoke(name: &str) {
    let (_, target) = *TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let folder = format!("{}/fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 4, "{folder}");
    seeds.iter().for_each(|seed| target(seed));
    let inputs = (0..seeds.len(), 0..seeds.len(), prop::collection::vec(change(), 1..6));
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let run = |target: Target, data: &[u8]| {
        std::panic::catch_unwind(|| target(data))
            .map_err(|_| TestCaseError::fail(String::from_utf8_lossy(data).into_owned()))
    };
    runner
        .run(&inputs, |(seed, other, changes)| run(target, &changed(seeds[seed].clone(), &seeds[other], &changes)))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn no_body_breaks_its_reader() {
    smoke("body");
}

#[test]
fn no_file_breaks_the_reader_of_rules() {
    smoke("rules");
}

#[test]
fn no_template_breaks() {
    smoke("template");
}

#[test]
fn no_condition_breaks_its_sandbox() {
    smoke("condition");
}
