//! Whole rule files, and what is found in them: `line:column code`, in the order of the file.

mod cases;
mod codes;
mod flashduty;
mod matching;
mod scripts;
mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use crate::config::Config;
use crate::rule::diagnostic::{self, Format, Position};
use crate::rule::load::{Loaded, load, load_paths};
use crate::rule::step::{Action, HttpBody, Stdin};
use crate::rule::{By, DedupeFor, LatePolicy, Mode};

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
