//! From folders to a rule set: the rule files, the modules of scripts, and everything that is wrong with them.
//!
//! All or nothing: while one error is there, there is no set.

pub(crate) mod find;
pub(crate) mod fixtures;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{self, Diagnostic, Severity, Sources, codes};
use super::read::Found;
use super::sandbox::{Sandbox, ScriptError};
use super::test_case::TestCase;
use super::vocabulary::Vocabulary;
use super::yaml::doc::Doc;
use super::{Mode, RuleSet, read, trust};
use crate::config::Config;
use crate::event::shape;

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
    /// Rules by mode.
    pub modes: BTreeMap<Mode, usize>,
    /// Rules by event type or glob.
    pub by_event: BTreeMap<String, usize>,
    /// Rules by channel.
    pub by_channel: BTreeMap<String, usize>,
    /// Rules by severity; under `any` those that name none.
    pub by_severity: BTreeMap<String, usize>,
    /// Rules that no test speaks of.
    pub untested: BTreeSet<String>,
}

/// Loads the rules folder and the scripts of a config. `generation` numbers the set.
pub fn load(config: &Config, generation: u64) -> Loaded {
    let mut loading = Loading::default();
    loading.rules_folder(config);
    loading.finish(config, generation, &Vocabulary::default())
}

/// Loads files and folders given by name instead of the rules folder.
pub fn load_paths(config: &Config, paths: &[PathBuf]) -> Loaded {
    check(config, paths, &Vocabulary::default())
}

/// Loads like [`load`], or, where `paths` are given, like [`load_paths`], with an eye on what pushes were `seen` to have.
pub fn check(config: &Config, paths: &[PathBuf], seen: &Vocabulary) -> Loaded {
    let mut loading = Loading::default();
    if paths.is_empty() {
        loading.rules_folder(config);
    } else {
        loading.rule_files(paths);
    }
    loading.finish(config, 0, seen)
}

#[derive(Default)]
struct Loading {
    files: Vec<(PathBuf, Arc<str>)>,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    hasher: blake3::Hasher,
}

impl Loading {
    fn problem(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn rules_folder(&mut self, config: &Config) {
        if config.rules.is_dir() {
            self.rule_files(std::slice::from_ref(&config.rules));
            return;
        }
        let message = format!("the rules folder {} does not exist", config.rules.display());
        let hint = "create it, or name another with `rules:` in the config".to_owned();
        self.problem(Diagnostic::of_file(codes::RULES_FOLDER, &config.rules, message, Some(hint)));
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

    fn finish(mut self, config: &Config, generation: u64, seen: &Vocabulary) -> Loaded {
        let (sandbox, modules) = self.sandbox(config);
        let (mut found, mut tests) = (Vec::<Found>::new(), Vec::new());
        if let Some(sandbox) = &sandbox {
            self.check_module_paths(config, sandbox);
            let cx = read::Context::new(config, sandbox, seen);
            for (path, text) in &self.files {
                let doc = Doc::new(path, text.clone());
                let contents = read::file(&doc, &cx);
                found.extend(contents.rules);
                tests.extend(contents.tests);
                self.diagnostics.extend(doc.take());
            }
        }
        self.check_unique(&found);
        self.check_same(&found);
        self.check_tests(&found, &tests);
        let summary = self.summary(&found, &tests, modules);
        self.warn_if_empty(config, &summary);
        diagnostic::sort(&mut self.diagnostics);

        let failed = self.diagnostics.iter().any(|found| found.severity == Severity::Error);
        let hash = self.hasher.finalize().to_hex().to_string();
        let set = sandbox.filter(|_| !failed).map(|sandbox| {
            let rules = found.into_iter().map(|found| Arc::new(found.rule)).collect();
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

    /// Points out rules that do the same on the same events; a copy was most likely to become another rule.
    fn check_same(&mut self, found: &[Found]) {
        let mut first: HashMap<u64, &Found> = HashMap::with_capacity(found.len());
        for second in found.iter().filter(|found| found.rule.mode != Mode::Off) {
            let Some(other) = first.get(&second.print).copied() else {
                first.insert(second.print, second);
                continue;
            };
            if other.rule.id == second.rule.id {
                continue;
            }
            self.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                code: codes::SAME_RULE,
                message: format!(
                    "`{}` is the same as `{}`, at {}, but for its id: both would act on the same events",
                    second.rule.id, other.rule.id, other.rule.place
                ),
                file: second.rule.place.file.clone(),
                span: second.id.clone(),
                hint: Some("remove one of the two, or change what this one matches".into()),
            });
        }
    }

    /// Points out what modules read of an event that is not documented to be there.
    fn check_module_paths(&mut self, config: &Config, sandbox: &Sandbox) {
        for read in sandbox.module_paths() {
            let Some(unknown) = shape::unknown_name(&read.path) else { continue };
            let path = config.scripts.join(format!("{}.rhai", read.module));
            let Some(text) = self.sources.get(&path) else { continue };
            let start = offset(text, read.line, read.column);
            let is_plain = text.get(start..).is_some_and(|rest| rest.starts_with(&read.path));
            let start = if is_plain { start + unknown.parent.len() + 1 } else { start };
            let message = format!("`{}` has no documented field `{}`", unknown.parent, unknown.name);
            let hint = read::documented(&unknown.name, &unknown.known);
            let mut diagnostic = Diagnostic::of_file(codes::UNKNOWN_PATH, &path, message, Some(hint));
            diagnostic.severity = Severity::Warning;
            diagnostic.span = start..start + if is_plain { unknown.name.len() } else { 1 };
            self.diagnostics.push(diagnostic);
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

    fn summary(&self, found: &[Found], tests: &[TestCase], modules: usize) -> Summary {
        let mut summary =
            Summary { files: self.files.len(), rules: found.len(), tests: tests.len(), modules, ..Summary::default() };
        let in_events = tests.iter().flat_map(|test| &test.events).flat_map(|event| &event.expect);
        let expected = tests.iter().flat_map(|test| &test.expect).chain(in_events).flatten();
        let tested: HashSet<&str> = expected.filter_map(|expectation| expectation.rule.as_deref()).collect();
        for Found { rule, .. } in found {
            *summary.modes.entry(rule.mode).or_default() += 1;
            for event in rule.matching.events.iter().flatten().map(ToString::to_string) {
                *summary.by_event.entry(event).or_default() += 1;
            }
            for channel in rule.matching.channels.iter().flatten().map(ToString::to_string) {
                *summary.by_channel.entry(channel).or_default() += 1;
            }
            let any = vec!["any".to_owned()];
            for severity in rule.matching.severities.as_ref().unwrap_or(&any) {
                *summary.by_severity.entry(severity.clone()).or_default() += 1;
            }
            if !tested.contains(rule.id.as_str()) {
                summary.untested.insert(rule.id.to_string());
            }
        }
        summary.events = summary.by_event.keys().cloned().collect();
        summary.channels = summary.by_channel.keys().cloned().collect();
        summary
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
    let at = offset(text, error.line.unwrap_or(1), error.column.unwrap_or(1));
    let length = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let mut diagnostic = Diagnostic::of_file(codes::INVALID_SCRIPT, path, error.message.clone(), None);
    diagnostic.span = at..at + length;
    diagnostic
}

/// The byte at a one-based line and column, in characters, of a text.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests;
