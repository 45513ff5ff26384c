//! The shipped alerts and dashboard: Prometheus understands them, and they ask for metrics that there are.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

fn file(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// The names in `text` that begin as our metrics do, without what Prometheus puts behind those of histograms.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let names = text.split(|character| !is_name(character)).filter(|word| word.starts_with("stanch_"));
    let base = |name: &str| {
        let without = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        without.unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

fn documented() -> BTreeSet<String> {
    metrics(&text("docs/http.md"))
}

#[test]
fn prometheus_understands_the_alerts() {
    let promtool = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
    let mut check = Command::new(promtool);
    let output = check.args(["check", "rules", "--lint-fatal"]).arg(file("examples/monitoring/alerts.yaml")).output();
    let output = output.expect("tests/setup.sh brings promtool");
    let said = [&*output.stdout, &*output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_alert_is_in_the_runbook_and_asks_for_metrics_that_there_are() {
    let (alerts, runbook, documented) =
        (text("examples/monitoring/alerts.yaml"), text("docs/runbook.md"), documented());
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(runbook.contains(&format!("\n## {name}\n")), "docs/runbook.md does not say what to do at {name}");
    }
    let asked = metrics(&alerts);
    assert!(asked.is_subset(&documented), "unknown: {:?}", asked.difference(&documented).collect::<Vec<_>>());
}

#[test]
fn every_panel_of_the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&text("examples/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let documented = documented();
    let mut places = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} asks for nothing");
        for target in targets {
            let asked = metrics(target["expr"].as_str().unwrap());
            assert!(!asked.is_empty() && asked.is_subset(&documented), "{title}: {asked:?}");
        }
        let place = &panel["gridPos"];
        assert!(places.insert((place["y"].as_u64(), place["x"].as_u64())), "{title} lies on another panel");
    }
}
