//! The documents say what the code does: codes, exit codes, metrics, functions, filters, guards and outcomes are
//! listed in full, every example of a rule passes `stanch check`, and links lead somewhere.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use regex::Regex;
use stanch::cli::EXIT_CODES;
use stanch::guard;
use stanch::journal::record::RunEnd;
use stanch::report::Metrics;
use stanch::report::metrics::{CatchUpLabels, DecisionLabels, EventLabels, RunLabels, TraceLabels, WritebackLabels};
use stanch::rule::diagnostic::{CODES, Format, render};
use stanch::rule::load::load;
use stanch::rule::sandbox::FUNCTIONS;
use stanch::rule::template::FILTERS;
use stanch::rule::test_case::OUTCOMES;

/// What the examples need of a config: a name for everything that they refer to.
const CONFIG: &str = "
sources:
  - { name: flashduty, path: /flashduty, auth: none }
  - { name: button-restart, path: /buttons/restart, auth: none }
flashduty: { app_key: { env: FLASHDUTY_APP_KEY } }
http: { allow: [inventory.internal:443] }
schedules: { night: { from: \"22:00\", to: \"07:00\" } }
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown document of the project, relative to its root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "examples", "rules"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.contains(&PathBuf::from("README.md")), "{found:?}");
    found
}

/// The part of a document under a heading, up to the next one of its level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let level = heading.split(' ').next().unwrap();
    rest.split_once(&format!("\n{level} ")).map_or(rest, |(part, _)| part)
}

/// The cells of the rows of tables, trimmed, without heads and rules.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("|---");
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        line.starts_with('|') && !is_rule(line) && !lines.get(at + 1).is_some_and(|next| is_rule(next))
    });
    rows.map(|(_, line)| line.replace("\\|", "\u{1}").trim_matches('|').split('|').map(cell).collect()).collect()
}

fn cell(text: &str) -> String {
    text.replace('\u{1}', "|").trim().to_owned()
}

/// The first code span of each row.
fn first_names(text: &str) -> Vec<String> {
    rows(text).iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

/// Fenced blocks: the words behind the fence, and the text.
pub(crate) fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => open = Some((words.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fenced block does not end");
    found
}

#[test]
fn every_diagnostic_is_explained_and_no_other() {
    let text = read("docs/diagnostics.md");
    let written: Vec<(String, String)> =
        rows(&text).into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row[2].clone())).collect();
    let names: BTreeSet<&str> = written.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(names.len(), written.len(), "a code is explained twice");
    assert_eq!(names, CODES.iter().map(|(code, _)| *code).collect());
    for (code, meaning) in CODES {
        assert!(written.iter().any(|(name, said)| name == code && said == meaning), "{code}: {meaning}");
    }
}

#[test]
fn every_exit_code_is_listed() {
    let text = read("docs/cli.md");
    let written: Vec<(u8, String)> = rows(section(&text, "## Exit codes"))
        .into_iter()
        .map(|row| (row[0].parse().unwrap(), row[1].clone()))
        .collect();
    let known: Vec<(u8, String)> = EXIT_CODES.iter().map(|(_, code, meaning)| (*code, (*meaning).to_owned())).collect();
    assert_eq!(written, known);
}

#[test]
fn every_command_is_listed() {
    let text = read("docs/cli.md");
    let program = stanch::cli::Cli::command();
    let names: Vec<&str> = program.get_subcommands().map(|command| command.get_name()).collect();
    assert!(names.contains(&"serve"), "{names:?}");
    for name in names {
        assert!(text.contains(&format!("`stanch {name}")), "docs/cli.md does not name `stanch {name}`");
    }
}

#[test]
fn every_metric_is_listed_and_no_other() {
    let text = read("docs/http.md");
    let written: BTreeSet<String> = first_names(section(&text, "## Metrics")).into_iter().collect();
    let metrics = Metrics::new();
    // A metric with labels is exposed once it has a value.
    metrics.events.get_or_create(&EventLabels { source: "a".into(), r#type: "i_new", outcome: "accepted" }).inc();
    metrics.decisions.get_or_create(&DecisionLabels { rule: "a".into(), outcome: "run" }).inc();
    metrics.runs.get_or_create(&RunLabels { rule: "a".into(), state: "succeeded" }).inc();
    metrics.writeback.get_or_create(&WritebackLabels { call: "a", outcome: "a" }).inc();
    metrics.catch_up.get_or_create(&CatchUpLabels { outcome: "a" }).inc();
    metrics.trace_spans.get_or_create(&TraceLabels { outcome: "a" }).inc();
    let exposed = metrics.text();
    let known: BTreeSet<String> = exposed
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    assert_eq!(written, known);
}

#[test]
fn every_function_of_scripts_is_listed_as_it_is() {
    let text = read("docs/rules.md");
    let written = rows(section(&text, "## Functions in scripts"));
    assert_eq!(written.len(), FUNCTIONS.len());
    for (row, function) in written.iter().zip(FUNCTIONS) {
        assert_eq!(row[0].trim_matches('`'), function.signature);
        assert_eq!(row[2].trim_start_matches("``").trim_end_matches("``").trim_matches('`').trim(), {
            function.example.trim_matches('`')
        });
    }
}

#[test]
fn every_filter_is_listed_in_order() {
    let text = read("docs/rules.md");
    let written = first_names(section(&text, "## Templates"));
    assert_eq!(written, FILTERS.iter().map(|filter| filter.signature.to_owned()).collect::<Vec<_>>());
}

#[test]
fn guards_are_listed_in_the_order_in_which_they_are_asked() {
    let text = read("docs/rules.md");
    let written = first_names(section(&text, "## guards"));
    assert_eq!(written, guard::names().map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn every_outcome_is_listed_in_order() {
    let text = read("docs/rules.md");
    let outcomes = section(&text, "## Outcomes").split("How a run ends:").next().unwrap();
    assert_eq!(first_names(outcomes), OUTCOMES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
}

#[test]
fn every_end_of_a_run_is_listed() {
    let text = read("docs/rules.md");
    let (_, ends) = section(&text, "## Outcomes").split_once("How a run ends:").unwrap();
    // A new end does not compile here, and so is not forgotten.
    let is_known = |end: RunEnd| match end {
        RunEnd::Succeeded | RunEnd::Failed | RunEnd::TimedOut | RunEnd::Cancelled => true,
        RunEnd::Denied | RunEnd::Expired | RunEnd::Interrupted | RunEnd::Unverified => true,
    };
    let written: Vec<RunEnd> = first_names(ends)
        .into_iter()
        .map(|name| serde_json::from_value(serde_json::Value::String(name)).unwrap())
        .filter(|end| is_known(*end))
        .collect();
    assert_eq!(written.iter().collect::<HashSet<_>>().len(), 8, "{written:?}");
}

#[test]
fn every_key_that_is_read_stands_in_the_reference() {
    let asked =
        Regex::new(r#"\b(?:get|entry|require|flag|words|one|several|text)\((?:[a-z]+, )?(?:&?fields, )?"([a-z_]+)""#);
    let mut source = read("src/rule/read.rs");
    gather(&root().join("src/rule/read"), &mut source);
    let keys: BTreeSet<String> = asked.unwrap().captures_iter(&source).map(|found| found[1].to_owned()).collect();
    assert!(keys.len() >= 80, "{keys:?}");
    let text = read("docs/rules.md");
    let spans: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    for key in keys {
        let word = Regex::new(&format!(r"\b{key}\b")).unwrap();
        assert!(spans.iter().any(|span| word.is_match(span)), "docs/rules.md does not explain `{key}`");
    }
}

#[test]
fn every_rule_in_the_documents_passes_check() {
    let mut checked = 0;
    for document in documents() {
        for (words, text) in blocks(&read(&document)) {
            if words == "yaml" && text.starts_with("rules:") {
                check(&document, &text);
                checked += 1;
            }
        }
    }
    assert!(checked >= 5, "only {checked} examples were found");
}

/// A folder with `text` as its only rule file, in which the scripts that it names exist.
pub(crate) fn folder_of(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["rules", "scripts"] {
        fs::create_dir(path(name)).unwrap();
    }
    for rest in text.split("./scripts/").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        let script = path("scripts").join(name);
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for named in text.split("steps_from: ").skip(1) {
        let (module, function) = named.lines().next().unwrap().split_once("::").unwrap();
        let mut all = documents().into_iter().flat_map(|document| blocks(&read(&document)));
        let script = all.find(|(words, text)| words == "rhai" && text.contains(&format!("fn {function}(")));
        fs::write(path(&format!("scripts/{module}.rhai")), script.unwrap().1).unwrap();
    }
    fs::write(path("stanch.yaml"), CONFIG).unwrap();
    fs::write(path("rules/example.yaml"), text).unwrap();
    folder
}

/// Loads `text` as the only rule file of a folder in which its scripts exist.
fn check(document: &Path, text: &str) {
    let folder = folder_of(text);
    let config = stanch::config::load::load(&folder.path().join("stanch.yaml")).unwrap().config;
    let loaded = load(&config, 1);
    // An example with a warning teaches what `check` warns of.
    assert!(
        loaded.diagnostics.is_empty(),
        "{}:\n{}",
        document.display(),
        render(Format::Human { colour: false }, &loaded.diagnostics, &loaded.sources)
    );
}

#[test]
fn every_config_in_the_documents_is_read() {
    for document in documents() {
        for (words, text) in blocks(&read(&document)) {
            if words != "yaml" || text.starts_with("rules:") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("stanch.yaml");
            // A part of a config stands for itself; what is required of a whole one is added.
            let source = "sources: [ { name: a, path: /a, auth: none } ]\n";
            let whole = if text.contains("sources:") { text } else { format!("{source}{text}") };
            fs::write(&path, whole).unwrap();
            if let Err(invalid) = stanch::config::load::load(&path) {
                let problems = render(Format::Human { colour: false }, &invalid.diagnostics, &invalid.sources);
                panic!("{}:\n{problems}", document.display());
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        for rest in text.split("](").skip(1) {
            let Some((link, _)) = rest.split_once(')') else { continue };
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let folder = document.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            assert!(root().join(&target).exists(), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let text = read(&target);
                let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(anchor_of);
                assert!(anchors.any(|known| known == anchor), "{}: {link}", document.display());
            }
        }
    }
}

#[test]
fn limits_are_listed_as_they_are() {
    let text = read("ARCHITECTURE.md");
    let written = rows(section(&text, "## Limits"));
    assert!(!written.is_empty());
    for row in written {
        let (name, value) = (row[0].trim_matches('`'), row[2].trim_matches('`'));
        let (_, file) = row[1].trim_end_matches(')').split_once("](").unwrap();
        let source = read(file);
        let (_, rest) = source.split_once(&format!("const {name}: ")).unwrap_or_else(|| panic!("{file} has no {name}"));
        let (_, known) = rest.split(';').next().unwrap().split_once(" = ").unwrap();
        assert_eq!(value, known, "{file}: {name}");
    }
}

#[test]
fn every_module_is_mapped() {
    let text = read("ARCHITECTURE.md");
    let map = section(&text, "## Code map");
    let written: BTreeSet<&str> =
        map.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let source = read("src/lib.rs");
    let known = source.lines().filter_map(|line| {
        let declared = line.strip_prefix("pub ").unwrap_or(line);
        declared.strip_prefix("mod ")?.strip_suffix(';')
    });
    assert_eq!(written, known.collect());
}

#[test]
fn tests_that_are_named_exist() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        gather(&root().join(folder), &mut sources);
    }
    let text = read("SECURITY.md");
    let table = rows(section(&text, "## What is withstood, and by what"));
    let names = table.iter().flat_map(|row| row[2].split(", ").map(|name| name.trim_matches('`').to_owned()));
    for name in names.chain(["every_code_has_a_file_that_has_it".to_owned()]) {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}

/// Appends every Rust file below `folder`.
fn gather(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// The anchor that a heading gets where Markdown is shown.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}
