//! Every code of a diagnostic has a text that has it.

use std::collections::BTreeSet;

use super::*;
use crate::rule::diagnostic::CODES;

/// For each code a file that has it, and where. What needs more than a rule file is tested further down.
const ONE_EACH: &[(&str, &str)] = &[
    ("yaml-syntax", "rules: [\n"),
    ("yaml-documents", "tests: []\n---\n"),
    ("yaml-tag", "tests: !x []\n"),
    ("yaml-anchor", "rules: *all\n"),
    ("yaml-ambiguous", "tests: [ { name: yes } ]\n"),
    ("duplicate-key", "tests: []\ntests: []\n"),
    ("unknown-key", "tests: []\nruels: []\n"),
    ("missing-key", "rules: [ { id: a } ]\n"),
    ("empty", "rules: []\n"),
    ("wrong-type", "rules: a\n"),
    ("invalid-value", "rules: [ { id: a, mode: atuo } ]\n"),
    ("invalid-duration", "rules: [ { id: a, guards: { cooldown: 0s } } ]\n"),
    ("duplicate-name", "rules: [ { id: a, steps: [ { name: x, wait: 1s }, { name: x, wait: 1s } ] } ]\n"),
    ("rule-id", "rules: [ { id: -a } ]\n"),
    ("quote-label", "rules: [ { id: a, match: { labels: { a: no } } } ]\n"),
    ("never-matches", "rules: [ { id: a, match: { title: { equals: a, not: a } } } ]\n"),
    ("constant-condition", "rules: [ { id: a, when: 1 == 2 } ]\n"),
    ("unknown-path", "rules: [ { id: a, when: incident.sevrity == 1 } ]\n"),
    (
        "same-rule",
        "rules: [ { id: a, match: { events: [i_new], channels: [a] }, steps: [ { wait: 1s } ] }, { match: { channels: [a], events: [i_new] }, steps: [ { wait: 1s } ], id: b, owner: x } ]\n",
    ),
    ("inline-secret", "rules: [ { id: a, steps: [ { shell: x, env: { API_TOKEN: hunter2-hunter2 } } ] } ]\n"),
    ("unknown-event-type", "rules: [ { id: a, match: { events: [x_*] } } ]\n"),
    ("negative-without-exists", "rules: [ { id: a, match: { labels: { a: { not: b } } } } ]\n"),
    ("invalid-regex", "rules: [ { id: a, match: { title: { regex: \"(\" } } } ]\n"),
    ("invalid-glob", "rules: [ { id: a, match: { title: { glob: \"[\" } } } ]\n"),
    ("unknown-source", "rules: [ { id: a, match: { sources: [x] } } ]\n"),
    ("unknown-schedule", "rules: [ { id: a, guards: { active: { only: [x] } } } ]\n"),
    ("invalid-script", "rules: [ { id: a, when: \"1 +\" } ]\n"),
    ("folded-script", "rules:\n  - id: a\n    when: >\n      true\n"),
    ("invalid-template", "rules: [ { id: a, target: \"{{ x\" } ]\n"),
    ("template-in-shell", "rules: [ { id: a, steps: [ { shell: \"echo {{ x }}\" } ] } ]\n"),
    ("template-as-code", "rules: [ { id: a, steps: [ { run: [sh, \"{{ x }}\"] } ] } ]\n"),
    ("template-as-option", "rules: [ { id: a, steps: [ { run: [ls, \"{{ x }}\"] } ] } ]\n"),
    ("template-not-literal", "rules: [ { id: a, steps: [ { run: [\"{{ x }}\"] } ] } ]\n"),
    ("dedupe-key", "rules: [ { id: a, dedupe: { by: [channel] } } ]\n"),
    ("counts-without-target", "rules: [ { id: a, guards: { rate: { max: 1, per: 1h, by: target } } } ]\n"),
    ("unknown-step", "rules: [ { id: a, steps: [ { wait: 1s, if: steps.x.ok } ] } ]\n"),
    ("step-kind", "rules: [ { id: a, steps: [ { wait: 1s, shell: x } ] } ]\n"),
    ("flashduty-missing", "rules: [ { id: a, report: true } ]\n"),
    ("program-missing", "rules: [ { id: a, steps: [ { run: [./nope.sh] } ] } ]\n"),
    ("program-not-here", "rules: [ { id: a, steps: [ { run: [no-such-program] } ] } ]\n"),
    ("program-unsafe", "rules: [ { id: a, steps: [ { run: [./stanch.yaml] } ] } ]\n"),
    ("env-name", "rules: [ { id: a, steps: [ { shell: x, env: { LD_PRELOAD: x } } ] } ]\n"),
    ("http-url", "rules: [ { id: a, steps: [ { http: { url: \"https://{{ x }}/\" } } ] } ]\n"),
    ("http-not-allowed", "rules: [ { id: a, steps: [ { http: { url: https://example.org/ } } ] } ]\n"),
    (
        "http-header",
        "rules: [ { id: a, steps: [ { http: { url: https://inventory.internal/, headers: { Host: x } } } ] } ]\n",
    ),
    ("fixture-missing", "tests: [ { name: a, event: x.json, expect: [] } ]\n"),
    ("test-unknown-rule", "tests: [ { name: a, event: { a: 1 }, expect: [ { rule: x } ] } ]\n"),
];

/// Codes of the config, each tested in `config::load`.
const OF_THE_CONFIG: &[&str] = &[
    "network",
    "denies-all",
    "secret",
    "secret-unusable",
    "tls-unusable",
    "auth-missing",
    "auth-none-public",
    "admin-token",
    "build-lacks",
];

/// Codes that need a journal, tested below.
const OF_THE_JOURNAL: &[&str] = &["unknown-label", "unknown-channel"];

/// Codes of files and folders, each tested below by name or in `rule::load`.
const OF_FILES: &[&str] = &[
    "file-unreadable",
    "file-too-large",
    "not-utf8",
    "too-deep",
    "too-many",
    "duplicate-rule",
    "rules-folder",
    "no-rules",
    "symlink-skipped",
];

#[test]
fn every_code_has_a_file_that_has_it() {
    for (code, yaml) in ONE_EACH {
        let loaded = load_text(yaml);
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|found| found.code).collect();
        assert!(codes.contains(code), "{code}: {codes:?}");
        assert!(codes.iter().all(|code| CODES.iter().any(|(known, _)| known == code)), "{codes:?}");
    }
    let tested: BTreeSet<&str> = ONE_EACH
        .iter()
        .map(|(code, _)| *code)
        .chain(OF_THE_CONFIG.iter().chain(OF_FILES).chain(OF_THE_JOURNAL).copied())
        .collect();
    let known: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(tested, known);
    assert_eq!(CODES.len(), known.len(), "a code stands twice");
}
