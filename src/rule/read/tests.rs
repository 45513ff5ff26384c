//! Whole rule files, and what is found in them: `line:column code`, in the order of the file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use crate::config::Config;
use crate::rule::diagnostic::{self, CODES, Format, Position};
use crate::rule::load::{self, Loaded, load, load_paths};
use crate::rule::step::{Action, HttpBody, Stdin};
use crate::rule::vocabulary::Vocabulary;
use crate::rule::{By, DedupeFor, LatePolicy, Mode, Reporting};

const CONFIG: &str = "listen: 127.0.0.1:0
sources: [ { name: flashduty, path: /flashduty, auth: none } ]
http: { allow: [\"inventory.internal:443\"] }
schedules: { night: { from: \"22:00\", to: \"07:00\" } }
";

/// A folder with a config, a script that may be run, and room for rules.
struct Folder {
    dir: tempfile::TempDir,
    config: Config,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config_file = dir.path().join("stanch.yaml");
        fs::write(&config_file, CONFIG).unwrap();
        let config = crate::config::load::load(&config_file).unwrap().config;
        fs::create_dir_all(dir.path().join("rules")).unwrap();
        fs::create_dir_all(dir.path().join("scripts")).unwrap();
        let folder = Self { dir, config };
        folder.write("scripts/heal.sh", "#!/bin/sh\n", 0o755);
        folder
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Loaded {
        load(&self.config, 7)
    }
}

/// The problems of a set as `line:column code`.
fn found(loaded: &Loaded) -> Vec<String> {
    let json = diagnostic::render(Format::Json, &loaded.diagnostics, &loaded.sources);
    let list: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    list.iter().map(|at| format!("{}:{} {}", at["line"], at["column"], at["code"].as_str().unwrap())).collect()
}

fn load_text(yaml: &str) -> Loaded {
    let folder = Folder::new();
    folder.write("rules/a.yaml", yaml, 0o644);
    folder.load()
}

#[track_caller]
fn check(yaml: &str, expect: &[&str]) {
    let loaded = load_text(yaml);
    assert_eq!(found(&loaded), expect, "{:#?}", loaded.diagnostics);
    assert_eq!(loaded.set.is_none(), loaded.has_errors());
}

/// A rule around some lines, which begin on line 6.
fn rule(lines: &str) -> String {
    let head = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    target: t\n    steps: [ { wait: 1s } ]\n";
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("{head}{body}")
}

/// A rule around one step, whose lines begin on line 6, column 9.
fn step(lines: &str) -> String {
    let head = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    target: t\n    steps:\n";
    let body: String = lines
        .lines()
        .enumerate()
        .map(|(nth, line)| format!("      {}{line}\n", if nth == 0 { "- " } else { "  " }))
        .collect();
    format!("{head}{body}")
}

#[test]
fn ten_mistakes_are_ten_diagnostics_in_one_run() {
    let yaml = r#"rules:
  - id: Disk-Full
    mood: auto
    match:
      events: [i_nwe]
      channels: []
      labels:
        port: 8080
        resource: { regex: '^(db' }
    when: |
      incident.alert_cnt >= 1
        && labels.a ==
    guards:
      cooldown: 30
      active: { only: [nigth] }
    steps:
      - run: [sh, -c, "echo {{ target }}"]
"#;
    check(
        yaml,
        &[
            "2:9 rule-id",
            "3:5 unknown-key",
            "5:16 unknown-event-type",
            "6:17 empty",
            "8:15 quote-label",
            "9:28 invalid-regex",
            "12:22 invalid-script",
            "14:17 invalid-duration",
            "15:24 unknown-schedule",
            "17:23 template-as-code",
        ],
    );
}

#[test]
fn a_whole_rule_is_read_as_written() {
    let folder = Folder::new();
    folder.write("rules/fixtures/disk.json", "{}", 0o644);
    folder.write(
        "rules/a.yaml",
        r#"rules:
  - id: disk-full
    description: Free space.
    owner: storage-oncall
    mode: off
    match:
      events: [i_new, i_r_*]
      channels: [Order System, 1163577812973, "*"]
      severities: [Critical, Warning]
      labels:
        check: disk full
        cluster: [nj, sh]
        a.b/c: { regex: '^(db|web)-\d+$', not: x }
        env: { not: dev, exists: true }
      fields: { level: 3, on_call: true }
      any: [ { title: { contains: disk } }, { description: { glob: "*full*" } } ]
      not: { person: [1, a@b] }
    when: incident.alert_cnt >= 1
    target: "{{ labels.resource }}"
    dedupe: { by: [target, labels.cluster], for: 1h }
    late: newest
    guards:
      unless_acked: true
      active: { except: [night] }
      hold: { for: 3m, cancel_on: [i_ack, i_rslv] }
      threshold: { count: 3, within: 10m, by: [labels.service] }
      cooldown: 30m
      rate: { max: 3, per: 1h, by: target }
      concurrency: { max: 2, by: labels.cluster, over: skip }
      blast_radius: { targets: 3, per: 30m, by: channel }
      breaker: { failures: 5 }
      attempts: { max: 2, per: 24h, then: [ { wait: 1s } ] }
      max_wait: 20m
      storm_hold: 15m
    steps:
      - name: clear
        run: [./scripts/heal.sh, --host, "{{ target }}", --, 5]
        env: { NAME: "{{ target }}" }
        stdin: none
        exit_codes: [0, 3]
        timeout: 2m
        retry: { attempts: 3, backoff: 2s }
        if: "true"
      - shell: echo "$STANCH_TARGET"
      - http:
          url: https://Inventory.internal/api/{{ target }}
          json: { host: "{{ target }}", n: [1, null, 2.5, true] }
          expect: { status: [2xx, 404] }
      - wait: 5m
    verify: { within: 5m, steps: [ { run: [./scripts/heal.sh] } ] }
    on_success: []
    on_failure: [ { shell: "true" } ]
tests:
  - name: one
    event: fixtures/disk.json
    with: { incident.labels.env: dev }
    expect: [ { rule: disk-full, outcome: run, steps: [ { run: [a] } ], until: 30m } ]
  - name: two
    events: [ fixtures/disk.json, { after: 1s, event: { incident: { n: 1 } }, fresh: true, expect: [] } ]
"#,
        0o644,
    );
    let loaded = folder.load();
    assert_eq!(found(&loaded), [] as [&str; 0], "{:#?}", loaded.diagnostics);
    assert_eq!((loaded.summary.rules, loaded.summary.tests), (1, 2));
    assert!(loaded.summary.channels.contains("1163577812973"));
    let set = loaded.set.unwrap();
    assert_eq!(set.generation, 7);
    let rule = &set.rules[0];
    assert_eq!((rule.mode, rule.late), (Mode::Off, LatePolicy::Newest));
    assert_eq!(rule.dedupe.by, [By::Target, By::Label("cluster".into())]);
    assert!(matches!(rule.dedupe.lasts, DedupeFor::Time(time) if time.as_secs() == 3600));
    assert_eq!(rule.matching.labels[2].0, "a.b/c");
    assert_eq!(rule.guards.breaker.failures, 5);
    assert_eq!(rule.guards.breaker.open_for.as_secs(), 3600);
    let Action::Run(run) = &rule.steps[0].action else { panic!("{:?}", rule.steps[0]) };
    assert_eq!(run.program, folder.path().join("scripts/heal.sh"));
    assert_eq!(run.argv.iter().map(|a| a.source()).collect::<Vec<_>>()[4], "5");
    assert!(matches!(run.process.stdin, Stdin::None));
    let Action::Http(http) = &rule.steps[2].action else { panic!("{:?}", rule.steps[2]) };
    assert_eq!((http.method.as_str(), http.authority.as_str()), ("POST", "inventory.internal:443"));
    assert!(matches!(http.body, HttpBody::Json(_)));
    // A pause longer than the usual time limit is not ended by it.
    assert!(rule.steps[3].timeout.as_secs() > 300);
    assert_eq!(rule.verify.as_ref().unwrap().every.as_secs(), 15);
    let tests = &loaded.tests;
    assert_eq!(tests[1].events[1].expect.as_deref(), Some(&[][..]));
    assert_eq!(tests[0].events[0].with[0].0, "incident.labels.env");
}

#[test]
fn a_rule_for_the_button_alone_dedupes_by_event() {
    let yaml = "rules:\n  - { id: a, match: { events: [i_custom], channels: [\"*\"] }, steps: [ { wait: 1s } ] }\n";
    assert_eq!(load_text(yaml).set.unwrap().rules[0].dedupe.by, [By::Event]);
}

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

#[test]
fn values_that_yaml_versions_disagree_on_are_refused_where_text_is_wanted() {
    for value in ["yes", "No", "on", "OFF", "y", "0755", "0o17", "0x1f", "1_000", "12:30", ".inf", "True"] {
        check(&rule(&format!("owner: {value}")), &["6:12 yaml-ambiguous"]);
        assert!(load_text(&rule(&format!("owner: \"{value}\""))).set.is_some(), "{value}");
    }
    for value in ["2026-01-31", "1.2.3", "10.0.0.1:80", "no way", "0755x"] {
        assert!(load_text(&rule(&format!("owner: {value}"))).set.is_some(), "{value}");
    }
    check(&rule("guards: { unless_acked: yes }"), &["6:29 yaml-ambiguous"]);
}

#[test]
fn code_is_shown_at_its_own_character() {
    check(&rule("when: |\n  true\n  && (1 + )"), &["8:15 invalid-script"]);
    check(&rule("when: true && (1 + )"), &["6:24 invalid-script"]);
    check(&rule("when: 'labels.a == ''x'' && (1 + )'"), &["6:38 invalid-script"]);
    check(&rule("when: \"1 == \\\"x\\\" +)\""), &["6:24 invalid-script"]);
    check(&rule("owner: x\nwhen: |\n\n  true\n  && (1 + )"), &["10:15 invalid-script"]);
}

#[test]
fn every_unknown_function_of_a_script_is_shown() {
    check(&rule("when: mathces(labels.a, \"x\") && nope(1)\n"), &["6:11 invalid-script", "6:37 invalid-script"]);
    let folder = Folder::new();
    folder.write("scripts/gate.rhai", "fn f() {\n  one()\n}\nfn g() {\n  two()\n}\n", 0o644);
    folder.write("rules/a.yaml", &rule("owner: x"), 0o644);
    assert_eq!(found(&folder.load()), ["2:3 invalid-script", "5:3 invalid-script"]);
}

#[test]
fn a_slip_in_a_path_is_shown_at_its_own_characters() {
    check(&rule("when: |\n  true == true\n  && event.incident.sevrity == \"Critical\""), &["8:25 unknown-path"]);
    let loaded = load_text(&rule("when: event.incident.sevrity == \"Critical\""));
    let found = &loaded.diagnostics[0];
    assert_eq!(&loaded.sources.get(&found.file).unwrap()[found.span.clone()], "sevrity");
    assert_eq!(found.hint.as_deref(), Some("did you mean `incident_severity`?"));
    check(&rule("when: alert.title.len > 3 && incident[\"titel\"] == \"\""), &["6:44 unknown-path"]);
    check(&rule("owner: x\nwhen: alerts.some(|a| a.labels.hots == \"x\") && labels.anything == fields.anything"), &[]);
    check(
        &step("name: probe\nwait: 1s").replace(
            "wait: 1s\n",
            "wait: 1s\n      - if: steps.prob.ok && steps.probe.exit_cod == 1\n        wait: 1s\n",
        ),
        &["8:13 unknown-step", "8:42 unknown-step"],
    );
    check(&step("run: [ls, \"--x={{ incident.titel }}\"]"), &["6:36 unknown-path"]);
}

#[test]
fn modules_are_checked_for_slips_where_a_parameter_is_named_like_the_event() {
    let folder = Folder::new();
    folder.write("scripts/gate.rhai", "fn wanted(incident, x) {\n  incident.titel == x.titel\n}\n", 0o644);
    folder.write("rules/a.yaml", &rule("when: gate::wanted(incident, alert)"), 0o644);
    assert_eq!(found(&folder.load()), ["2:12 unknown-path"]);
}

#[test]
fn rules_that_can_never_match_are_pointed_out() {
    let matching = |text: &str| {
        format!("rules:\n  - id: a\n    match: {{ {text} }}\n    target: t\n    steps: [ {{ wait: 1s }} ]\n")
    };
    let all = "events: [i_new], channels: [\"*\"]";
    for (text, is_found) in [
        (format!("{all}, title: {{ equals: a, not: a }}"), true),
        (format!("{all}, labels: {{ env: {{ in: [a, b], not_in: [b, a] }} }}"), true),
        (format!("{all}, labels: {{ env: {{ equals: a, regex: \"^b\" }} }}"), true),
        (format!("{all}, labels: {{ env: {{ exists: false, not: a }} }}"), true),
        (format!("{all}, severities: [Critical], not: {{ severities: [Critical, Warning] }}"), true),
        (format!("{all}, severities: [Critical], any: [ {{ severities: [Info] }} ]"), true),
        ("events: [a_new], channels: [\"*\"], progress: [Processing]".to_owned(), true),
        ("events: [a_new], channels: [\"*\"], person: [a@b]".to_owned(), true),
        (format!("{all}, labels: {{ env: {{ in: [a, b], not: b }} }}"), false),
        (format!("{all}, fields: {{ tags: {{ equals: a, not: b }} }}"), false),
        (format!("{all}, severities: [Critical], not: {{ severities: [Critical], title: x }}"), false),
        (format!("{all}, severities: [Critical, Info], any: [ {{ severities: [Info] }} ]"), false),
        ("events: [a_*, i_new], channels: [\"*\"], progress: [Processing]".to_owned(), false),
    ] {
        let loaded = load_text(&matching(&text));
        assert_eq!(found(&loaded).iter().any(|found| found.ends_with(" never-matches")), is_found, "{text}");
        assert!(!loaded.has_errors(), "{text}");
    }
}

#[test]
fn conditions_that_give_the_same_for_every_event_are_pointed_out() {
    for (source, is_found) in [
        ("true", true),
        ("1 == 2 && true", true),
        ("incident.alert_cnt > 1 && false", true),
        ("true || incident.alert_cnt > 1", true),
        ("!(false || false)", true),
        ("now > 5 && true", false),
        ("minutes_since(5) > 1", false),
        ("incident.alert_cnt > 1 || false", false),
        ("incident.title == \"true\"", false),
        ("alerts.some(|a| true)", false),
    ] {
        let loaded = load_text(&rule(&format!("when: '{source}'")));
        assert_eq!(found(&loaded).contains(&"6:11 constant-condition".to_owned()), is_found, "{source}");
    }
}

#[test]
fn a_secret_that_stands_in_a_rule_is_pointed_out_and_not_shown() {
    let yaml = step("shell: x\nenv: { API_TOKEN: hunter2-hunter2, TOKEN_FILE: secrets/a, TOKEN: /run/token }");
    let loaded = load_text(&yaml);
    assert_eq!(found(&loaded), ["7:27 inline-secret"]);
    for format in [Format::Human { colour: false }, Format::Json, Format::Github] {
        let shown = diagnostic::render(format, &loaded.diagnostics, &loaded.sources);
        assert!(!shown.contains("hunter2") && shown.contains("API_TOKEN"), "{shown}");
    }
}

#[test]
fn names_are_compared_with_those_that_pushes_had() {
    let folder = Folder::new();
    let body = r#"{"event_id": "e", "event_time": 1700000000000, "event_type": "i_new", "incident":
        {"incident_id": "i", "channel_name": "Order System", "labels": {"resource": "db-07", "k8s.io/app": "x"}}}"#;
    let now = crate::clock::Timestamp::from_millis(1_700_000_000_000);
    let mut seen = Vocabulary::default();
    seen.learn(&crate::event::read(body.to_owned().into(), "flashduty".into(), now).unwrap());
    folder.write(
        "rules/a.yaml",
        "rules:\n  - id: a\n    match: { events: [i_new], channels: [Order Sytem, Payments], labels: { resorce: x, other: z } }\n    when: labels.resurce == incident.labels.resource\n    target: t\n    steps: [ { wait: 1s } ]\n",
        0o644,
    );
    let loaded = load::check(&folder.config, &[], &seen);
    assert_eq!(found(&loaded), ["3:42 unknown-channel", "3:76 unknown-label", "4:18 unknown-label"]);
    assert_eq!(found(&folder.load()), [] as [&str; 0], "what was not seen yet is no slip");
}

#[test]
fn templates_where_code_is_read_are_refused() {
    for (argv, is_refused) in [
        ("sh, -c, \"{{ t }}\"", true),
        ("bash, -ec, \"{{ t }}\"", true),
        ("/bin/bash, \"-c{{ t }}\"", true),
        ("python3, -c, \"{{ t }}\"", true),
        ("python3.12, -m, \"{{ t }}\"", true),
        ("perl, -e, \"{{ t }}\"", true),
        ("node, \"--eval={{ t }}\"", true),
        ("awk, \"{{ t }}\", f", true),
        ("sed, -n, -e, \"{{ t }}\"", true),
        ("find, /tmp, -exec, ls, \"{{ t }}\", ;", true),
        ("env, A=b, sudo, -u, root, sh, -c, \"{{ t }}\"", true),
        ("awk, -F, x, \"{{ t }}\"", true),
        ("python3, -W, ignore, \"{{ t }}\"", true),
        ("sed, p, file, -e, \"{{ t }}\"", true),
        ("timeout, 5, \"{{ t }}\"", true),
        ("ssh, host, \"{{ t }}\"", true),
        ("npx, \"{{ t }}\"", true),
        ("docker, exec, x, sh, -c, \"{{ t }}\"", true),
        ("sh, -c, 'echo \"$1\"', --, \"{{ t }}\"", false),
        ("python3, ./scripts/heal.sh, --, \"{{ t }}\"", false),
        ("sed, -e, s/a/b/, --, \"{{ t }}\"", false),
        ("ls, --, \"{{ t }}\"", false),
        ("ls, --host, \"{{ t }}\"", false),
        ("ls, \"--host={{ t }}\"", false),
    ] {
        let found = found(&load_text(&step(&format!("run: [{argv}]"))));
        if is_refused {
            // `- run: [` stands before the argv; the element begins at its quote.
            let before = argv.find("{{").unwrap();
            let at = 15 + argv[..before].rfind('"').unwrap();
            let expected = format!("6:{at} template-as-code");
            assert!(found.contains(&expected), "{argv}: {found:?} without {expected}");
        } else {
            assert!(!found.iter().any(|found| found.contains("template")), "{argv}: {found:?}");
        }
    }
}

/// The problems of a text where the config knows Flashduty.
fn found_with_flashduty(yaml: &str) -> Vec<String> {
    let mut folder = Folder::new();
    folder.config.flashduty = Some(crate::config::Flashduty {
        api: "https://api.flashcat.cloud".into(),
        app_key: crate::config::secret::SecretRef::Env("FLASHDUTY_APP_KEY".into()),
        catch_up: true,
        report: Reporting::Runs,
        run_link: None,
    });
    folder.write("rules/a.yaml", yaml, 0o644);
    found(&folder.load())
}

#[test]
fn calls_of_flashduty_have_one_form_each() {
    for call in [
        "{ comment: \"x {{ labels.a }}\" }",
        "{ ack: true }",
        "{ resolve: true }",
        "{ resolve: { root_cause: a, resolution: b } }",
        "{ snooze: 1m, reopen: true }",
        "{ snooze: 1d, field: { name: a, value: 5 } }",
        "{ field: { name: a, value: [x, \"{{ labels.b }}\"] } }",
    ] {
        assert_eq!(found_with_flashduty(&step(&format!("flashduty: {call}"))), Vec::<String>::new(), "{call}");
    }
    for (call, problem) in [
        ("{}", "6:20 empty"),
        ("x", "6:20 wrong-type"),
        ("{ coment: x }", "6:22 unknown-key"),
        ("{ ack: false }", "6:27 invalid-value"),
        ("{ comment: \"{{ x\" }", "6:32 invalid-template"),
        ("{ snooze: 90s }", "6:30 invalid-value"),
        ("{ snooze: 25h }", "6:30 invalid-value"),
        ("{ resolve: { why: x } }", "6:33 unknown-key"),
        ("{ field: { name: a } }", "6:29 missing-key"),
        ("{ field: { name: \"{{ a }}\", value: x } }", "6:37 template-not-literal"),
        ("{ field: { name: a, value: { b: c } } }", "6:47 wrong-type"),
    ] {
        let found = found_with_flashduty(&step(&format!("flashduty: {call}")));
        assert_eq!(found.first().map(String::as_str), Some(problem), "{call}: {found:?}");
    }
    for (lines, problem) in [
        ("report: maybe", "6:13 invalid-value"),
        ("guards: { recheck: alert }", "6:24 invalid-value"),
        ("verify: { within: 5s, steps: [ { flashduty: { ack: true } } ] }", "6:34 invalid-value"),
    ] {
        assert_eq!(found_with_flashduty(&rule(lines)), [problem], "{lines}");
    }
}

#[test]
fn flashduty_has_to_be_in_the_config() {
    check(&step("flashduty: { comment: x }"), &["6:9 flashduty-missing"]);
    check(&rule("guards: { recheck: incident }"), &["6:15 flashduty-missing"]);
    check(&rule("report: dry-run"), &["6:5 flashduty-missing"]);
    check(&rule("report: false"), &[]);
}

#[test]
fn a_literal_host_account_or_port_must_be_one() {
    check(&step("ssh: { host: db-07, user: ops, port: 22, run: [uptime] }"), &[]);
    check(&step("ssh: { host: \"{{ target }}\", shell: uptime, stdin: none }"), &[]);
    check(&step("ssh: { host: -oProxyCommand=id, run: [x] }"), &["6:22 invalid-value"]);
    check(&step("ssh: { host: a, user: \"-l\", run: [x] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a, port: 70000, run: [x] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a, run: [\"-x\"] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a }"), &["6:14 step-kind"]);
    check(&step("ssh: { host: a, run: [x], shell: x }"), &["6:35 step-kind"]);
    check(&step("ssh: { host: a, cwd: /tmp, run: [x] }"), &["6:25 unknown-key"]);
    check(&step("ssh: { host: a, shell: \"echo {{ target }}\" }"), &["6:38 template-in-shell"]);
    check(&step("ssh: { host: a, run: [\"{{ target }}\"] }"), &["6:31 template-not-literal"]);
    check(&step("ssh: { host: a, run: [sh, -c, \"{{ target }}\"] }"), &["6:39 template-as-code"]);
    check(&step("ssh: { host: a, env: { LD_PRELOAD: x }, run: [x] }"), &["6:32 env-name"]);
    // A script that an interpreter runs over there need not be here.
    check(&step("ssh: { host: a, run: [sh, ./not-here.sh] }"), &[]);
}

#[test]
fn a_list_is_known_before_anything_starts() {
    let each = |more: &str| step(&format!("each: {{ {more}steps: [ {{ run: [ls, --, \"{{{{ item }}}}\"] }} ] }}"));
    check(&each("in: labels.hosts, "), &[]);
    check(&each("in: [a, \"{{ labels.b }}\"], batch: 2, tolerance: 1, "), &[]);
    check(&each(""), &["6:15 missing-key"]);
    check(&each("in: \"{{ labels.hosts }}\", "), &["6:21 invalid-script"]);
    check(&each("in: steps.probe.json, "), &["6:21 unknown-step"]);
    check(&each("in: [\"{{ steps.probe.stdout }}\"], "), &["6:26 unknown-step"]);
    check(&each("in: labels.hosts, as: alert, "), &["6:39 invalid-value"]);
    check(&each("in: labels.hosts, batch: 0, "), &["6:42 invalid-value"]);
    check(
        &step("each: { in: labels.hosts, steps: [ { each: { in: labels.hosts, steps: [ { wait: 1s } ] } } ] }"),
        &["6:46 invalid-value"],
    );
    check(&rule("on_failure: [ { each: { in: labels.hosts, steps: [ { wait: 1s } ] } } ]"), &["6:21 invalid-value"]);
    check(&step("retry: { attempts: 2 }\neach: { in: labels.hosts, steps: [ { wait: 1s } ] }"), &["6:9 invalid-value"]);
    // The item is a name inside, and only there.
    let inside = "each: { in: labels.hosts, as: host, steps: [ { if: 'host != \"db-1\"', wait: 1s } ] }";
    check(&step(inside), &[]);
    check(&step("if: host == 1\nwait: 1s"), &["6:13 invalid-script"]);
}

#[test]
fn a_step_is_known_to_those_behind_it_alone() {
    let probe = "steps:\n  - { name: probe, run: [ls] }\n";
    let with_probe = |more: &str| {
        let lines = format!("{probe}{more}");
        rule(&lines).replace("    steps: [ { wait: 1s } ]\n", "")
    };
    check(
        &with_probe("  - { name: b, if: steps.probe.exit_code == 0, run: [ls, --, \"{{ steps.probe.stdout }}\"] }"),
        &[],
    );
    check(&with_probe("verify: { within: 1m, steps: [ { if: steps.probe.ok, wait: 1s } ] }"), &[]);
    check(&with_probe("on_failure: [ { run: [ls, --, \"{{ steps.probe.json.free }}\"] } ]"), &[]);
    check(&with_probe("  - { if: steps.prob.ok, wait: 1s }"), &["7:15 unknown-step"]);
    check(&with_probe("  - { run: [ls, --, \"{{ steps.prob.stdout }}\"] }"), &["7:29 unknown-step"]);
    check(&with_probe("when: steps.probe.ok"), &["7:11 unknown-step"]);
    check(
        &with_probe("guards: { attempts: { max: 1, per: 1h, then: [ { if: steps.probe.ok, wait: 1s } ] } }"),
        &["7:58 unknown-step"],
    );
    // A name with a space or a dot is written in brackets.
    check(&step("name: free space\nrun: [ls]"), &[]);
    let spaced = "  - { name: a b.c, run: [ls] }\n  - { if: 'steps[\"a b.c\"].ok', run: [ls, --, '{{ steps[\"a b.c\"].stdout }}'] }";
    check(&with_probe(spaced), &[]);
}

#[test]
fn the_steps_that_conditions_name_come_before_them() {
    let steps = |second: &str| {
        let list = format!(
            "steps:\n  - {{ name: a.b, wait: 1s }}\n  - {{ wait: 1s, if: '{second}' }}\n  - {{ name: c, wait: 1s }}"
        );
        rule(&list).replacen("    steps: [ { wait: 1s } ]\n", "", 1)
    };
    for good in [
        "steps[\"a.b\"].ok",
        "steps[\"a.b\"].json.ok.x == 1",
        "steps[\"a.b\"].exit_code == 0 && labels.x == \"steps.c\"",
    ] {
        check(&steps(good), &[]);
    }
    check(&steps("true || steps.c.ok"), &["7:34 unknown-step"]);
    check(&steps("steps[\"a.b\"].exitcode == 0"), &["7:39 unknown-step"]);
    check(&rule("on_failure: [ { wait: 1s, if: steps.none.ok } ]"), &["6:35 unknown-step"]);
    check(&rule("on_success: [ { name: x, wait: 1s }, { wait: 1s, if: steps.x.ok } ]"), &[]);
}

#[test]
fn scripts_that_others_could_change_are_refused() {
    let folder = Folder::new();
    folder.write("scripts/open.sh", "", 0o777);
    folder.write("scripts/plain.sh", "", 0o644);
    folder.write("rules/a.yaml", &step("run: [./scripts/open.sh]\nname: x"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
    folder.write("rules/a.yaml", &step("run: [./scripts/plain.sh]\nname: x"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
    // An interpreter needs no executable script, but one that only its owner can change.
    folder.write("rules/a.yaml", &step("run: [sh, ./scripts/plain.sh]"), 0o644);
    assert_eq!(found(&folder.load()), [] as [&str; 0]);
    folder.write("rules/a.yaml", &step("run: [sh, ./scripts/open.sh]"), 0o644);
    assert_eq!(found(&folder.load()), ["6:19 program-unsafe"]);
    fs::set_permissions(folder.path().join("scripts"), fs::Permissions::from_mode(0o775)).unwrap();
    folder.write("rules/a.yaml", &step("run: [./scripts/heal.sh]"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
}

#[test]
fn nesting_and_counts_have_limits() {
    let deep = format!("rules: {}{}\n", "[".repeat(70), "]".repeat(70));
    check(&deep, &["1:71 too-deep"]);
    let many = format!("run: [ls{}]", ", a".repeat(2000));
    check(&step(&many), &["6:14 too-many"]);
    let thousand: String = (0..600).map(|nth| format!("k{nth}: 1\n")).collect();
    let loaded = load_text(&format!("tests: []\n{thousand}"));
    assert_eq!(loaded.diagnostics.len(), 501);
}

#[test]
fn guards_ask_no_further_back_than_is_remembered() {
    let guards = |text: &str| rule(&format!("guards: {{ {text} }}\n"));
    check(&guards("breaker: { failures: 128, within: 31d, open_for: 31d }, storm_hold: 1d"), &[]);
    for text in
        ["breaker: { failures: 129 }", "breaker: { within: 32d }", "breaker: { open_for: 32d }", "storm_hold: 25h"]
    {
        let loaded = load_text(&guards(text));
        assert!(found(&loaded).iter().all(|found| found.ends_with(" invalid-value")), "{text}: {:?}", found(&loaded));
        assert!(loaded.set.is_none(), "{text}");
    }
}

#[test]
fn an_element_of_events_is_a_body_only_if_it_has_no_key_of_ours() {
    let events = |element: &str| format!("tests: [ {{ name: a, events: [ {element} ], expect: [] }} ]\n");
    let body = "{ event_type: i_new, incident: { incident_id: i1 } }";
    for element in [body, &format!("{{ after: 1s, event: {body} }}")] {
        let loaded = load_text(&events(element));
        assert!(!loaded.has_errors(), "{element}: {:?}", found(&loaded));
        assert_eq!(loaded.tests[0].events.len(), 1);
    }
    for element in ["{ after: 1s, incident: { incident_id: i1 } }", "{ event_type: i_new }"] {
        assert!(load_text(&events(element)).has_errors(), "{element}");
    }
}

#[test]
fn a_test_file_needs_no_rules() {
    let folder = Folder::new();
    folder.write("rules/a.yaml", &rule("owner: x"), 0o644);
    folder.write("rules/b.test.yaml", "tests: [ { name: a, event: { i: 1 }, expect: [ { rule: a } ] } ]\n", 0o644);
    let loaded = folder.load();
    assert_eq!(found(&loaded), [] as [&str; 0]);
    assert_eq!(loaded.tests.len(), 1);
}

/// Pieces of rule files, so that random text gets past the first key.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("rules:\n".to_owned()),
        Just("  - id: ".to_owned()),
        Just("    match: ".to_owned()),
        Just("{ events: [i_new], channels: [\"*\"] }\n".to_owned()),
        Just("    steps:\n      - run: [".to_owned()),
        Just("    when: |\n".to_owned()),
        Just("\"{{ é }}\"".to_owned()),
        Just("        : é 'x\\u{7}".to_owned()),
        "[\\[\\]{}:,#&*!|>'\"%@` \n\r\ta-z0-9é\u{202e}\u{1b}-]{0,6}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_without_panic_and_shown_without_control_characters(text in yamlish()) {
        let folder = Folder::new();
        folder.write("rules/a.yaml", &text, 0o644);
        let loaded = load_paths(&folder.config, &[folder.path().join("rules/a.yaml")]);
        for found in &loaded.diagnostics {
            if let Some(text) = loaded.sources.get(&found.file) {
                prop_assert!(text.get(found.span.clone()).is_some(), "{:?}", found);
            }
        }
        for format in [Format::Human { colour: false }, Format::Json, Format::Github] {
            let shown = diagnostic::render(format, &loaded.diagnostics, &loaded.sources);
            prop_assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
        }
    }
}

#[test]
fn positions_order_by_line_then_column() {
    assert!(Position { line: 1, column: 9 } < Position { line: 2, column: 1 });
}
