//! The schemas held against the readers, both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::build::Schema;
use super::{config_schema, rules_schema};
use crate::config::Config;
use crate::rule::diagnostic::codes;
use crate::rule::load::load_paths;
use crate::rule::yaml::doc::Doc;
use crate::rule::yaml::fields::READ;
use crate::rule::yaml::{Kind, Node, parse};

/// Mappings that no reader opens, because this version refuses the key that leads to them.
const REFUSED_BY_THE_READER: &[&str] = &[];

/// A rule file with every mapping of the language in it.
const EVERY_KEY: &str = r#"rules:
  - id: disk-full
    match:
      events: [i_new, i_r_*, i_future]
      channels: [Order System, 1163577812973, "*"]
      severities: [Critical, Warning]
      title: { contains: disk }
      description: { glob: "*full*" }
      labels: { check: disk full, cluster: [nj, sh], env: { not: dev, exists: true } }
      fields: { level: 3, on_call: { in: [true, x] } }
      any: [ { title: disk }, { statuses: [Ok] } ]
      not: { person: [1, a@b] }
    when: true
    target: "{{ labels.resource }}"
    mode: off
    dedupe: { by: [target, labels.cluster], for: 1h }
    guards:
      active: { except: [night] }
      hold: { for: 3m, cancel_on: [i_ack, i_rslv] }
      threshold: { count: 3, within: 10m, by: [labels.service] }
      rate: { max: 3, per: 1h, by: target }
      concurrency: { max: 2, by: labels.cluster, over: skip }
      blast_radius: { targets: 3, per: 30m, by: channel }
      breaker: { failures: 5 }
      recheck: incident
      attempts: { max: 2, per: 24h, then: [ { wait: 1s } ] }
    steps:
      - name: clear
        run: [./scripts/heal.sh, --host, "{{ target }}", --, 5]
        env: { NAME: "{{ target }}", N: 5 }
        retry: { attempts: 3, backoff: 2s }
        if: "true"
      - shell: echo "$STANCH_TARGET"
        exit_codes: [0, 3]
      - http:
          url: https://inventory.internal/api/{{ target }}
          json: { host: "{{ target }}", n: [1, null, 2.5, true] }
          expect: { status: [2xx, 404], when: response.json.ok == true }
      - ssh: { host: "{{ target }}", port: 22, user: ops, run: [uptime, -p], env: { N: 5 }, stdin: none, exit_codes: [0, 1] }
      - each:
          in: labels.hosts.split(",")
          as: host
          batch: 2
          tolerance: 1
          steps: [ { ssh: { host: "{{ host }}", shell: uptime } } ]
      - each: { in: [a, 5], steps: [ { wait: 1s } ] }
      - wait: 5m
      - flashduty: { ack: true, resolve: { root_cause: full }, snooze: 30m, field: { name: a, value: 1 }, reopen: true }
    report: dry-run
    verify: { within: 5m, steps: [ { run: [./scripts/heal.sh] } ] }
    on_success: []
tests:
  - name: one
    event: fixtures/disk.json
    with: { incident.labels.env: dev }
    runs: [ { rule: disk-full, ends: failed, takes: 2m } ]
    expect: [ { rule: disk-full, outcome: run, steps: [ { run: [a] } ], until: 30m } ]
  - name: two
    events: [ a.json, { after: 0s, event: { incident: { n: 1 } }, expect: [] }, { incident: { n: 1 } } ]
"#;

/// A config with every mapping in it.
const EVERY_CONFIG_KEY: &str = r#"listen: 127.0.0.1:8080
tls: { cert: tls/cert.pem, key: tls/key.pem }
mode: off
ordering: strict
sources:
  - name: flashduty
    path: /flashduty
    auth: { header: X-Stanch-Token, secret: { env: TOKEN_NEW }, previous: { credential: old } }
    allow_from: [flashduty, 10.0.0.0/8, "2001:db8::1"]
    trusted_proxies: []
  - { name: own, path: /own, auth: none }
flashduty: { app_key: { env: FLASHDUTY_APP_KEY }, report: false, run_link: "https://bastion.internal/runs/" }
http: { allow: ["inventory.internal:443"] }
ssh: { config: ssh_config }
limits: { body: 1MiB, connections: 64, runs: 2, output: 512KiB, grace: 1m, step: { files: 64, processes: 99, memory: 64MiB, file_size: 1GiB } }
budgets: [ { name: whole engine, rate: { max: 200, per: 1h }, blast_radius: { targets: 5, per: 1h, by: target } } ]
schedules: { night: { days: [fri-mon], dates: [2026-12-31], from: "22:00", to: "07:00", zone: UTC } }
retention: { events: 30d, runs: 180d }
admin: { socket: run/s.sock, listen: 127.0.0.1:8081, token: { file: secrets/admin-token } }
log: { format: json, level: debug }
traces: { endpoint: "http://127.0.0.1:4318/v1/traces", headers: { Authorization: { file: secrets/otlp } }, sample: 0.1 }
"#;

/// YAML as a validator sees it.
fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Int(value) => (*value).into(),
        Kind::Float(value) => (*value).into(),
        Kind::Text { text, .. } | Kind::Ambiguous { text, .. } => text.as_str().into(),
        Kind::List(items) => items.iter().map(value).collect(),
        Kind::Map(entries) => {
            let entry = |(key, inner): &(Node, Node)| (value(key).as_str().unwrap().to_owned(), value(inner));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

fn parsed(text: &str) -> Value {
    value(&parse(&Doc::new(Path::new("x.yaml"), Arc::from(text))).unwrap())
}

fn validator(schema: &Schema) -> Validator {
    let schema = schema.to_json();
    assert!(jsonschema::meta::is_valid(&schema), "not a schema");
    jsonschema::validator_for(&schema).unwrap()
}

fn problems(validator: &Validator, text: &str) -> Vec<String> {
    validator.iter_errors(&parsed(text)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Whether a rule file is read without an error.
fn reads_rules(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stanch.yaml");
    fs::write(&path, EVERY_CONFIG_KEY).unwrap();
    let config = config_of(&path).unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    let script = folder.path().join("scripts/heal.sh");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let rules = folder.path().join("a.yaml");
    fs::write(&rules, text).unwrap();
    let loaded = load_paths(&config, &[rules]);
    !loaded.has_errors()
}

fn reads_config(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stanch.yaml");
    fs::write(&path, text).unwrap();
    config_of(&path).is_some()
}

/// A config, where nothing is wrong with it but what this build lacks.
fn config_of(path: &Path) -> Option<Config> {
    match crate::config::load::load(path) {
        Ok(loaded) => Some(loaded.config),
        Err(invalid) => {
            let lacks = invalid.diagnostics.iter().all(|found| found.code == codes::BUILD_LACKS);
            invalid.partial.filter(|_| lacks).map(|config| *config)
        }
    }
}

/// The mappings that readers opened since, with the keys that they asked for.
fn read() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut read = BTreeMap::<String, BTreeSet<&'static str>>::new();
    for (what, keys) in READ.take() {
        let what = match what.as_str() {
            label if label.starts_with("`labels.") => "`labels`".to_owned(),
            field if field.starts_with("`fields.") => "`fields`".to_owned(),
            schedule if schedule.starts_with("schedule ") => "schedule".to_owned(),
            _ => what,
        };
        read.entry(what).or_default().extend(keys);
    }
    read
}

/// Every name of a mapping in the schema, with its keys.
fn written(schema: &Schema) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mappings = schema.mappings().flat_map(|mapping| {
        let keys: BTreeSet<&'static str> = mapping.keys.iter().map(|key| key.name).collect();
        mapping.read_as.iter().map(move |name| ((*name).to_owned(), keys.clone()))
    });
    mappings.collect()
}

#[test]
fn every_key_of_the_readers_is_in_the_schema_and_no_other() {
    READ.take();
    // Which also reads the config.
    assert!(reads_rules(EVERY_KEY));
    // What is refused, or asked for only where it is written, is known nonetheless.
    reads_rules("rules: [ { id: a, steps_from: a::b } ]\n");
    let mut known = read();
    assert!(reads_config(EVERY_CONFIG_KEY));
    let of_config = read();
    let mut wanted = written(&rules_schema());
    for refused in REFUSED_BY_THE_READER {
        assert!(wanted.remove(*refused).is_some(), "{refused}");
    }
    for what in of_config.keys().filter(|what| !wanted.contains_key(*what)) {
        known.remove(what);
    }
    // `http`, `ssh` and `flashduty` of the config were read before those of the steps.
    if let Some(http) = known.get_mut("`http`") {
        http.remove("allow");
    }
    if let Some(flashduty) = known.get_mut("`flashduty`") {
        for key in ["api", "app_key", "catch_up", "run_link", "report"] {
            flashduty.remove(key);
        }
    }
    if let Some(ssh) = known.get_mut("`ssh`") {
        ssh.remove("config");
    }
    assert_eq!(known, wanted);
    assert_eq!(of_config, written(&config_schema()));
}

#[test]
fn what_the_readers_accept_is_valid() {
    let (rules, config) = (validator(&rules_schema()), validator(&config_schema()));
    assert_eq!(problems(&rules, EVERY_KEY), [] as [&str; 0]);
    assert_eq!(problems(&config, EVERY_CONFIG_KEY), [] as [&str; 0]);
    let minimal = "sources: [ { name: a, path: /a, auth: { secret: { file: x } } } ]\n";
    assert!(reads_config(minimal));
    assert_eq!(problems(&config, minimal), [] as [&str; 0]);
}

/// Every YAML file of the project that people read as an example.
fn shipped() -> Vec<PathBuf> {
    fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("stanch.yaml")];
    for folder in ["rules", "examples", "packaging"] {
        gather(&root.join(folder), &mut found);
    }
    // Files of other programs lie in folders of their own.
    let is_ours = |path: &PathBuf| {
        let is_rule =
            path.ends_with("etc/example-rule.yaml") || path.components().any(|part| part.as_os_str() == "rules");
        is_config(path) || is_rule
    };
    found.retain(is_ours);
    found.sort();
    found
}

/// Where the package puts what belongs to rules: the schemas, which lie in `docs` here.
const INSTALLED: &str = "/usr/share/stanch/";

fn is_config(path: &Path) -> bool {
    fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("sources:"))
}

#[test]
fn every_shipped_file_is_valid() {
    let (rules, config) = (validator(&rules_schema()), validator(&config_schema()));
    let files = shipped();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let found = problems(if is_config(&path) { &config } else { &rules }, &text);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_shipped_file_names_its_schema_where_it_lies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in shipped() {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let named = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{} does not begin with the modeline", path.display()));
        let schema = match named.strip_prefix(INSTALLED) {
            Some(named) => root.join("docs").join(named),
            None => path.parent().unwrap().join(named),
        };
        let schema = schema.canonicalize().unwrap();
        let name = if is_config(&path) { "config.json" } else { "rules.json" };
        assert_eq!(schema, root.join("docs/schema").join(name).canonicalize().unwrap(), "{}", path.display());
    }
}

#[test]
fn the_files_in_the_documents_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    for (name, schema) in [("rules.json", super::rules()), ("config.json", super::config())] {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(text == super::text(&schema), "docs/schema/{name} is stale: `make schema` writes it anew");
    }
}

#[test]
fn what_a_reader_refuses_for_its_shape_is_invalid() {
    let validator = validator(&rules_schema());
    let rule = |change: &dyn Fn(&mut Map<String, Value>)| {
        let text = "rules: [ { id: a, match: { events: [i_new], channels: [\"*\"] }, steps: [ { wait: 1s } ] } ]\n";
        let mut file = parsed(text);
        change(file["rules"][0].as_object_mut().unwrap());
        file
    };
    assert!(validator.is_valid(&rule(&|_| {})));
    for (key, text) in [
        ("id", "Disk"),
        ("id", "5"),
        ("mood", "auto"),
        ("mode", "atuo"),
        ("mode", "{}"),
        ("when", "5"),
        ("when", "[a]"),
        ("target", "\" \""),
        ("match", "{ events: [i_new] }"),
        ("match", "{ events: i_new, channels: [a] }"),
        ("match", "{ events: [], channels: [a] }"),
        ("match", "{ events: [i_new], channels: [0] }"),
        ("match", "{ events: [i_new], channels: [a], severities: [critical] }"),
        ("match", "{ events: [i_new], channels: [a], labels: { port: 8080 } }"),
        ("match", "{ events: [i_new], channels: [a], title: { contians: x } }"),
        ("match", "{ events: [i_new], channels: [a], title: {} }"),
        ("match", "{ events: [i_new], channels: [a], any: [ {} ] }"),
        ("guards", "{}"),
        ("guards", "{ cooldown: 30 }"),
        ("guards", "{ cooldown: 0s }"),
        ("guards", "{ coldown: 30s }"),
        ("guards", "{ rate: { max: 0, per: 1h } }"),
        ("guards", "{ rate: { max: 1 } }"),
        ("guards", "{ rate: { max: 1, per: 1h, by: incident } }"),
        ("guards", "{ breaker: { failures: 999 } }"),
        ("dedupe", "{ by: [rule] }"),
        ("steps", "[]"),
        ("steps", "[ {} ]"),
        ("steps", "[ { name: x } ]"),
        ("steps", "[ { wait: 1s, shell: x } ]"),
        ("steps", "[ { wait: 1s, env: { A: b } } ]"),
        ("steps", "[ { run: ls } ]"),
        ("steps", "[ { run: [[ls]] } ]"),
        ("steps", "[ { wait: 1s, retry: { attempts: 21 } } ]"),
        ("steps", "[ { shell: x, exit_codes: [256] } ]"),
        ("steps", "[ { http: { url: \"https://inventory.internal/\", json: {}, body: x } } ]"),
        ("steps", "[ { http: { method: get, url: \"https://inventory.internal/\" } } ]"),
        ("verify", "{ within: 5m }"),
    ] {
        let wrong = rule(&|rule| {
            rule.insert(key.to_owned(), parsed(&format!("x: {text}\n"))["x"].clone());
        });
        assert!(!validator.is_valid(&wrong), "{key}: {text} is valid");
        let yaml = serde_json::to_string(&wrong).unwrap();
        assert!(!reads_rules(&yaml), "{key}: {text} is read");
    }
    for text in [
        "tests: [ { name: a, expect: [] } ]\n",
        "{}\n",
        "tests: [ { name: a, event: x, expect: [ { outcome: ran } ] } ]\n",
    ] {
        assert!(!problems(&validator, text).is_empty(), "{text}");
        assert!(!reads_rules(text), "{text}");
    }
}

#[test]
fn what_the_reader_of_the_config_refuses_for_its_shape_is_invalid() {
    let validator = validator(&config_schema());
    let source = "sources: [ { name: a, path: /a, auth: none } ]\n";
    assert!(validator.is_valid(&parsed(source)) && reads_config(source));
    for text in [
        "listen: 8080",
        "listen: localhost",
        "mood: auto",
        "limits: { body: 5 }",
        "limits: { runs: 0 }",
        "limits: {}",
        "budgets: [ { name: a } ]",
        "budgets: [ { name: a, rate: { max: 1, per: 1h, by: labels.a } } ]",
        "schedules: { night: { zone: UTC } }",
        "schedules: { night: { from: \"25\" } }",
        "retention: { events: 30 }",
        "admin: { token: hunter2 }",
        "log: { level: loud }",
        "tls: { cert: a }",
        "flashduty: { api: \"https://a\" }",
        "traces: { sample: 0.5 }",
        "traces: { endpoint: \"https://a/v1/traces\", sample: 2 }",
        "traces: { endpoint: \"https://a/v1/traces\", headers: { Authorization: hunter2 } }",
    ] {
        let text = format!("{source}{text}\n");
        assert!(!problems(&validator, &text).is_empty(), "{text} is valid");
        assert!(!reads_config(&text), "{text} is read");
    }
    for text in ["sources: []\n", "listen: 127.0.0.1:1\n", "sources: [ { name: a, path: /a } ]\n"] {
        assert!(!problems(&validator, text).is_empty() && !reads_config(text), "{text}");
    }
}
