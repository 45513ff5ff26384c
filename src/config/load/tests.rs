use std::fs;

use super::*;
use crate::config::secret::SecretRef;
use crate::config::{Auth, FLASHDUTY_ADDRESSES};
use crate::rule::diagnostic::{Format, Severity, render};

const SOURCES: &str = "sources: [ { name: flashduty, path: /flashduty, auth: none } ]\n";

fn read(text: &str) -> (tempfile::TempDir, Result<LoadedConfig, InvalidConfig>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stanch.yaml"), text).unwrap();
    let loaded = load(&dir.path().join("stanch.yaml"));
    (dir, loaded)
}

/// What is found, as `line:column code`.
fn found(text: &str) -> Vec<String> {
    let (_dir, loaded) = read(text);
    let (diagnostics, sources) = match loaded {
        Ok(loaded) => (loaded.warnings, loaded.sources),
        Err(invalid) => {
            assert!(invalid.diagnostics.iter().any(|found| found.severity == Severity::Error));
            (invalid.diagnostics, invalid.sources)
        }
    };
    let list: Vec<serde_json::Value> = serde_json::from_str(&render(Format::Json, &diagnostics, &sources)).unwrap();
    list.iter().map(|at| format!("{}:{} {}", at["line"], at["column"], at["code"].as_str().unwrap())).collect()
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(found(text), expect, "{text}");
}

#[test]
fn listen_and_sources_are_a_complete_config() {
    let text = "listen: 127.0.0.1:9000
sources:
  - name: flashduty
    path: /flashduty
    auth: { header: X-Stanch-Token, secret: { file: secrets/webhook-token } }
";
    let (dir, loaded) = read(text);
    let LoadedConfig { config, warnings, .. } = loaded.unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.base, dir.path());
    assert_eq!(config.rules, dir.path().join("rules"));
    assert_eq!(config.admin.socket, dir.path().join("data/stanch.sock"));
    assert_eq!((config.mode, config.strict_ordering), (Mode::Auto, false));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.retention, Retention::default());
    let source = &config.sources[0];
    assert_eq!(source.allow_from.len(), FLASHDUTY_ADDRESSES.len() + 2);
    let Auth::Header { header, secret, previous } = &source.auth else { panic!("{:?}", source.auth) };
    assert_eq!(header, "x-stanch-token");
    assert_eq!(secret, &SecretRef::File(dir.path().join("secrets/webhook-token")));
    assert!(previous.is_none());
}

#[test]
fn the_documented_config_is_read_as_written() {
    let text = r#"listen: 127.0.0.1:8080
tls: { cert: tls/cert.pem, key: tls/key.pem }
data: ./data
rules: ./rules
scripts: ./scripts
mode: off
ordering: strict
sources:
  - name: flashduty
    path: /flashduty
    auth: { header: X-Stanch-Token, secret: { env: TOKEN_NEW }, previous: { credential: old } }
    allow_from: [flashduty, 10.0.0.0/8, "2001:db8::1"]
    trusted_proxies: []
flashduty:
  api: https://api.flashcat.cloud/
  app_key: { env: FLASHDUTY_APP_KEY }
  catch_up: false
http: { allow: ["Inventory.internal:443"] }
limits: { body: 1MiB, connections: 64, runs: 2, output: 512KiB, grace: 1m, step: { files: 64, processes: 99, memory: 64MiB, file_size: 1GiB } }
budgets: [ { name: whole engine, rate: { max: 200, per: 1h } } ]
schedules: { night: { days: [fri-mon], dates: [2026-12-31], from: "22:00", to: "07:00", zone: UTC } }
retention: { events: 30d, runs: 180d }
admin: { socket: run/s.sock, listen: 127.0.0.1:8081, token: { file: secrets/admin-token } }
log: { format: json, level: debug }
"#;
    let (dir, loaded) = read(text);
    let loaded = loaded.unwrap();
    // What is read and leads to nothing is said.
    assert_eq!(loaded.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["not-available"]);
    let config = loaded.config;
    assert_eq!((config.mode, config.strict_ordering), (Mode::Off, true));
    assert_eq!(config.sources[0].allow_from.len(), FLASHDUTY_ADDRESSES.len() + 2);
    assert_eq!(config.sources[0].allow_from[5].to_string(), "2001:db8::1/128");
    assert_eq!(config.http_allow, ["inventory.internal:443"]);
    assert_eq!((config.limits.body_bytes, config.limits.output_bytes), (1 << 20, 512 << 10));
    assert_eq!(config.schedules["night"].days.len(), 4);
    assert_eq!(config.budgets[0].rate.as_ref().unwrap().max, 200);
    assert_eq!(config.admin.socket, dir.path().join("run/s.sock"));
    assert_eq!(config.flashduty.unwrap().api, "https://api.flashcat.cloud");
    assert_eq!(config.log.level, "debug");
}

#[test]
fn a_source_without_proof_is_refused() {
    check("sources: [ { name: a, path: /a } ]\n", &["1:12 auth-missing"]);
    check("sources: [ { name: a, path: /a, auth: { header: X } } ]\n", &["1:39 auth-missing"]);
    check(&format!("listen: 0.0.0.0:80\n{SOURCES}"), &["2:55 auth-none-public"]);
    check(&format!("listen: \"[::1]:80\"\n{SOURCES}"), &[]);
}

#[test]
fn secrets_never_stand_in_the_config() {
    let text = "sources: [ { name: a, path: /a, auth: { secret: hunter2-hunter2-hunter2 } } ]\n";
    check(text, &["1:49 secret"]);
    let (_dir, loaded) = read(text);
    assert!(!loaded.unwrap_err().to_string().contains("hunter2"));
    check("sources: [ { name: a, path: /a, auth: { secret: { file: a, env: b } } } ]\n", &["1:49 secret"]);
    check("sources: [ { name: a, path: /a, auth: { secret: { value: a } } } ]\n", &["1:51 unknown-key"]);
    check(&format!("{SOURCES}admin: {{ listen: 127.0.0.1:1 }}\n"), &["2:10 admin-token"]);
}

#[test]
fn networks_with_host_bits_are_refused_with_the_corrected_form() {
    let source = |list: &str| format!("sources: [ {{ name: a, path: /a, auth: none, allow_from: {list} }} ]\n");
    let (_dir, loaded) = read(&source("[10.1.2.3/8]"));
    let hint = loaded.unwrap_err().diagnostics.remove(0).hint.unwrap();
    assert!(hint.contains("10.0.0.0/8"), "{hint}");
    check(&source("[\"2001:db8::1/32\", nonsense, 1.2.3.4]"), &["1:58 network", "1:76 network"]);
    check(&source("[]"), &["1:45 denies-all"]);
    check(&format!("{SOURCES}http: {{ allow: [inventory.internal] }}\n"), &["2:17 network"]);
}

#[test]
fn names_and_paths_of_sources_are_told_apart() {
    let text = "sources:
  - { name: a, path: /a, auth: none }
  - { name: a, path: /a, auth: none }
  - { name: b, path: b, auth: none }
";
    check(text, &["3:13 duplicate-name", "3:22 duplicate-name", "4:22 invalid-value"]);
}

#[test]
fn every_problem_is_said_at_once() {
    let text = "listn: 1
mode: atuo
sources: []
limits: { runs: 0, body: 5 }
schedules: { night: { days: [mo], from: 22:00, to: \"25:00\", zone: Mars/Base } }
retention: { events: 30 }
budgets: [ { name: a } ]
log: { level: loud }
";
    check(
        text,
        &[
            "1:1 unknown-key",
            "2:7 invalid-value",
            "3:10 empty",
            "4:17 invalid-value",
            "4:26 invalid-value",
            "5:30 invalid-value",
            "5:41 yaml-ambiguous",
            "5:52 invalid-value",
            "5:67 invalid-value",
            "6:22 invalid-duration",
            "7:12 missing-key",
            "8:15 invalid-value",
        ],
    );
}

#[test]
fn a_missing_file_is_said() {
    let invalid = load(Path::new("/nonexistent/stanch.yaml")).unwrap_err();
    assert_eq!(invalid.diagnostics[0].code, "file-unreadable");
}
