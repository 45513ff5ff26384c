//! `docs/rule-library.md` is made from the rule files, and stays what they say. `UPDATE=1` in the environment of the test
//! writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use stanch::rule::Rule;

use crate::rules_library::names;

/// What stands above the rules, written by hand.
const INTRODUCTION: &str = "\
<!-- Made from rules/*.yaml. After a change there: UPDATE=1 cargo test --test it rules_index -->
# The rule library

Rules for what breaks most often, each with its tests, a push as Flashduty sends it, and scripts that look before they
act and can be run twice. To take one:

1. Copy `rules/NAME.yaml`, `rules/fixtures/NAME.json` and the scripts that it names into your folder, with
   `scripts/lib.sh` and `scripts/hosts.rhai`. Read the scripts: they will act in your name.
2. Change what is marked `yours`: channels, domains, clusters, the services that may be touched.
3. Read under *Do not use it* whether one of the lines is about you.
4. Set `mode: dry-run`, run `stanch check` and `stanch test`, and watch it for a week before it may act.

Scripts that act on another host call `ssh` with the daemon's own configuration and known hosts, and fail where a host's
key is not known. A program that a script needs and does not find ends it with exit code 127 and the program's name.

If you write your own, these are the habits that the scripts here share:

- They look before they act, and say *nothing to do* with success where the condition is gone. So a retry, a second rule or a
  person beside them does no harm.
- What they change is a goal (eight replicas) and not an increment (two more).
- They refuse what they cannot see: an answer that is no number, a node whose state is unknown, a file that is not there.
- Options have names, and each value is checked against the characters that it may have, before anything is called.
- They print what they saw and did. It is kept with the run, and read by whoever is paged after all.
- What must not happen twice is written down *before* it is done: after a crash in between, not at all is better than twice.
";

#[test]
fn the_index_says_what_the_rules_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("docs/rule-library.md");
    let made = index(root);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{} is not what the rules say; UPDATE=1 writes it anew", path.display());
}

/// The whole document.
fn index(root: &Path) -> String {
    let config = stanch::config::load::load(&root.join("stanch.yaml")).unwrap().config;
    let set = stanch::rule::load::load(&config, 1).set.unwrap();
    let mut table = String::from("\n| rule | does | mode |\n|---|---|---|\n");
    let mut parts = String::new();
    for (rule, name) in set.rules.iter().zip(names()) {
        assert_eq!(rule.id.as_str(), name);
        let description = rule.description.as_deref().unwrap();
        writeln!(table, "| [{name}](#{name}) | {description} | `{}` |", rule.mode).unwrap();
        let text = fs::read_to_string(root.join(format!("rules/{name}.yaml"))).unwrap();
        parts.push_str(&part(rule, &name, &text));
    }
    format!("{INTRODUCTION}{table}{parts}")
}

/// What is said of one rule.
fn part(rule: &Rule, name: &str, text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim_start);
    // What is said to an editor is not for the page.
    let comment: Vec<&str> = comment.filter(|line| !line.starts_with("yaml-language-server:")).collect();
    let comment = comment.join("\n");
    let (about, not) = comment.split_once("Do NOT use it\n").unwrap_or_else(|| panic!("{name} says not when not"));
    let events = value(text, "      events: ").trim_matches(['[', ']']).split(", ").map(|event| format!("`{event}`"));
    let events: Vec<String> = events.collect();
    let mut part = format!("\n## {name}\n\n{}\n\n", about.trim_end());
    let owner = rule.owner.as_deref().unwrap();
    writeln!(part, "In [rules/{name}.yaml](../rules/{name}.yaml), owned by {owner}.\n").unwrap();
    writeln!(
        part,
        "- Events: {}; mode: `{}`; target: `{}`",
        events.join(", "),
        rule.mode,
        value(text, "    target: ").trim_matches('"')
    )
    .unwrap();
    writeln!(part, "- Guards: {}", guards(text).join("; ")).unwrap();
    let steps: Vec<&str> = rule.steps.iter().filter_map(|step| step.name.as_deref()).collect();
    let verify = rule.verify.as_ref().unwrap();
    let checks: Vec<&str> = verify.steps.iter().filter_map(|step| step.name.as_deref()).collect();
    writeln!(part, "- Steps: {}; verified by: {}\n", steps.join(", "), checks.join(", ")).unwrap();
    writeln!(part, "*Do not use it*\n\n{}", not.trim_end()).unwrap();
    part
}

/// What stands behind `key` on its line, without a comment.
fn value<'t>(text: &'t str, key: &str) -> &'t str {
    let rest = text.split_once(&format!("\n{key}")).unwrap_or_else(|| panic!("no {key:?}")).1;
    rest.lines().next().unwrap_or_default().split("  #").next().unwrap_or_default().trim_end()
}

/// The guards as they are written, one line each; of a block only its numbers.
fn guards(text: &str) -> Vec<String> {
    let (_, rest) = text.split_once("\n    guards:\n").unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with("      "));
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        let code = line.split("  #").next().unwrap_or_default();
        let line = code.trim();
        let depth = code.len() - code.trim_start().len();
        match depth {
            _ if line.is_empty() || line.starts_with('#') => {}
            6 => found.push(format!("`{}`", line.trim_end_matches(':'))),
            8 if !line.starts_with("then:") => {
                let last = found.last_mut().unwrap();
                last.pop();
                let separator = if last.contains(':') { ", " } else { ": " };
                write!(last, "{separator}{line}`").unwrap();
            }
            _ => {}
        }
    }
    found
}
