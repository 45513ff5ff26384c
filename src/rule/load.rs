//! From folders to a rule set: the rule files, the modules of scripts, and everything that is wrong with them.
//!
//! All or nothing: while one error is there, there is no set.

pub(crate) mod find;
pub(crate) mod fixtures;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{self, Diagnostic, Severity, Sources, codes};
use super::sandbox::{Sandbox, ScriptError};
use super::test_case::TestCase;
use super::yaml::doc::Doc;
use super::{Rule, RuleSet, read, trust};
use crate::config::Config;

/// What was loaded, and what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; `None` while there is an error.
    pub set: Option<RuleSet>,
    /// The tests beside the rules.
    pub tests: Vec<TestCase>,
    /// Every problem, ordered by file, then place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that they point into.
    pub sources: Sources,
    /// What was found.
    pub summary: Summary,
}

impl Loaded {
    /// Whether anything keeps the set from loading.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}

/// What was found, for people who want to see that it is what they meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rule files.
    pub files: usize,
    /// Rules.
    pub rules: usize,
    /// Tests.
    pub tests: usize,
    /// Modules of scripts.
    pub modules: usize,
    /// The event types and globs that rules name.
    pub events: BTreeSet<String>,
    /// The channels that rules name.
    pub channels: BTreeSet<String>,
}

/// Loads the rules folder and the scripts of a config. `generation` numbers the set.
pub fn load(config: &Config, generation: u64) -> Loaded {
    let mut loading = Loading::default();
    if config.rules.is_dir() {
        loading.rule_files(std::slice::from_ref(&config.rules));
    } else {
        let message = format!("the rules folder {} does not exist", config.rules.display());
        let hint = "create it, or name another with `rules:` in the config".to_owned();
        loading.problem(Diagnostic::of_file(codes::RULES_FOLDER, &config.rules, message, Some(hint)));
    }
    loading.finish(config, generation)
}

/// Loads files and folders given by name instead of the rules folder.
pub fn load_paths(config: &Config, paths: &[PathBuf]) -> Loaded {
    let mut loading = Loading::default();
    loading.rule_files(paths);
    loading.finish(config, 0)
}

#[derive(Default)]
struct Loading {
    files: Vec<(PathBuf, Arc<str>)>,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    hasher: blake3::Hasher,
}

/// A rule with where its id is written.
struct Found {
    rule: Arc<Rule>,
    id: Range<usize>,
}

impl Loading {
    fn problem(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn rule_files(&mut self, paths: &[PathBuf]) {
        for path in find::rule_files(paths, &mut self.diagnostics) {
            if let Some(text) = self.text(&path) {
                self.files.push((path, text));
            }
        }
    }

    /// Reads a file, keeping its text for diagnostics and its hash for the set's.
    fn text(&mut self, path: &Path) -> Option<Arc<str>> {
        match find::read_text(path) {
            Ok(text) => {
                self.hasher.update(&(text.len() as u64).to_le_bytes());
                self.hasher.update(text.as_bytes());
                self.sources.insert(path, text.clone());
                Some(text)
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    fn finish(mut self, config: &Config, generation: u64) -> Loaded {
        let (sandbox, modules) = self.sandbox(config);
        let (mut found, mut tests) = (Vec::new(), Vec::new());
        if let Some(sandbox) = &sandbox {
            let cx = read::Context::new(config, sandbox);
            for (path, text) in &self.files {
                let doc = Doc::new(path, text.clone());
                let contents = read::file(&doc, &cx);
                found.extend(contents.rules.into_iter().map(|(rule, id)| Found { rule: Arc::new(rule), id }));
                tests.extend(contents.tests);
                self.diagnostics.extend(doc.take());
            }
        }
        self.check_unique(&found);
        self.check_tests(&found, &tests);
        let summary = self.summary(&found, tests.len(), modules);
        self.warn_if_empty(config, &summary);
        diagnostic::sort(&mut self.diagnostics);

        let failed = self.diagnostics.iter().any(|found| found.severity == Severity::Error);
        let hash = self.hasher.finalize().to_hex().to_string();
        let set = sandbox.filter(|_| !failed).map(|sandbox| {
            let rules = found.into_iter().map(|found| found.rule).collect();
            RuleSet::new(rules, Arc::new(sandbox), hash, generation)
        });
        Loaded { set, tests, diagnostics: self.diagnostics, sources: self.sources, summary }
    }

    /// Reads the modules and builds the script engine. With modules that do not compile it is built without them,
    /// so that the rules are still checked.
    fn sandbox(&mut self, config: &Config) -> (Option<Sandbox>, usize) {
        let mut modules: Vec<(String, PathBuf, String)> = Vec::new();
        for (name, path) in find::modules(&config.scripts, &mut self.diagnostics) {
            if let Err(distrust) = trust::check(&path, &config.base) {
                let hint = "it, and every folder above it, must be writable by its owner alone".to_owned();
                let message = format!("the module is not safe to use: {distrust}");
                self.problem(Diagnostic::of_file(codes::PROGRAM_UNSAFE, &path, message, Some(hint)));
            } else if let Some(text) = self.text(&path) {
                self.hasher.update(name.as_bytes());
                modules.push((name, path, text.to_string()));
            }
        }
        let count = modules.len();
        let problems = match build(&modules) {
            Ok(sandbox) => return (Some(sandbox), count),
            Err(problems) => problems,
        };
        let mut bad = HashSet::new();
        for (at, error) in problems {
            bad.insert(at);
            if let Some((_, path, text)) = modules.get(at) {
                self.problem(module_problem(path, text, &error));
            } else {
                let message = format!("the script engine could not be built: {error}");
                self.problem(Diagnostic::of_file(codes::INVALID_SCRIPT, &config.scripts, message, None));
            }
        }
        let mut at = 0;
        modules.retain(|_| {
            at += 1;
            !bad.contains(&(at - 1))
        });
        (build(&modules).ok(), count)
    }

    /// Reports ids that occur twice, at each place, naming the other.
    fn check_unique(&mut self, found: &[Found]) {
        let mut first: HashMap<&str, &Found> = HashMap::with_capacity(found.len());
        for second in found {
            let Some(other) = first.get(second.rule.id.as_str()).copied() else {
                first.insert(second.rule.id.as_str(), second);
                continue;
            };
            for (here, there) in [(other, second), (second, other)] {
                self.diagnostics.push(Diagnostic {
                    severity: Severity::Error,
                    code: codes::DUPLICATE_RULE,
                    message: format!("another rule has the id `{}`, at {}", here.rule.id, there.rule.place),
                    file: here.rule.place.file.clone(),
                    span: here.id.clone(),
                    hint: Some("an id is unique over all rule files: give one of them another".into()),
                });
            }
        }
    }

    /// Points out expectations of rules that are not there. The engine runs no tests, so it is no error.
    fn check_tests(&mut self, found: &[Found], tests: &[TestCase]) {
        let known: HashSet<&str> = found.iter().map(|found| found.rule.id.as_str()).collect();
        let in_events = tests.iter().flat_map(|test| &test.events).flat_map(|event| &event.expect);
        let expectations = tests.iter().flat_map(|test| &test.expect).chain(in_events).flatten();
        for expectation in expectations {
            if let Some(rule) = &expectation.rule
                && !known.contains(rule.as_str())
            {
                self.diagnostics.push(Diagnostic {
                    severity: Severity::Warning,
                    code: codes::TEST_UNKNOWN_RULE,
                    message: format!("the test expects something of rule `{rule}`, which does not exist"),
                    file: expectation.place.file.clone(),
                    span: expectation.span.clone(),
                    hint: None,
                });
            }
        }
    }

    fn summary(&self, found: &[Found], tests: usize, modules: usize) -> Summary {
        let (mut events, mut channels) = (BTreeSet::new(), BTreeSet::new());
        for found in found {
            let matching = &found.rule.matching;
            events.extend(matching.events.iter().flatten().map(ToString::to_string));
            channels.extend(matching.channels.iter().flatten().map(ToString::to_string));
        }
        Summary { files: self.files.len(), rules: found.len(), tests, modules, events, channels }
    }

    fn warn_if_empty(&mut self, config: &Config, summary: &Summary) {
        if summary.rules > 0 || self.diagnostics.iter().any(|found| found.severity == Severity::Error) {
            return;
        }
        let message = "no rule was found: every event will be recorded and none acted on";
        let hint = "rules are read from *.yaml and *.yml files, in folders too".to_owned();
        let mut diagnostic = Diagnostic::of_file(codes::NO_RULES, &config.rules, message, Some(hint));
        diagnostic.severity = Severity::Warning;
        self.diagnostics.push(diagnostic);
    }
}

fn build(modules: &[(String, PathBuf, String)]) -> Result<Sandbox, Vec<(usize, ScriptError)>> {
    let given: Vec<(String, &Path, String)> =
        modules.iter().map(|(name, path, text)| (name.clone(), path.as_path(), text.clone())).collect();
    Sandbox::new(&given)
}

fn module_problem(path: &Path, text: &str, error: &ScriptError) -> Diagnostic {
    let line = error.line.unwrap_or(1);
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let column = error.column.unwrap_or(1).saturating_sub(1);
    let at = start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    let length = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let mut diagnostic = Diagnostic::of_file(codes::INVALID_SCRIPT, path, error.message.clone(), None);
    diagnostic.span = at..at + length;
    diagnostic
}

#[cfg(test)]
mod tests;
