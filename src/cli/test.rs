//! `stanch test`: runs the tests of rules, without any effect.

mod human;
mod junit;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::output::{OutputFormat, complain, json, note};
use super::{Exit, setup};
use crate::config::Config;
use crate::engine::{Options, settings};
use crate::report::printable;
use crate::rule::Mode;
use crate::rule::load::fixtures::Fixtures;
use crate::rule::load::{Loaded, load, load_paths};
use crate::rule::test_case::TestCase;
use crate::simulate::{Suite, TestResult, World, is_about};

/// The name of the source that takes the events in, where the config has none.
const NO_SOURCE: &str = "test";

/// Run rule tests with the real matching, guards and rendering, a simulated clock, and no effects.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Rule or test files, or folders of them; the config's rules folder unless given.
    paths: Vec<PathBuf>,
    /// Only tests with this text in their name, or of the rule with this id.
    #[arg(short = 'k', long = "filter", value_name = "TEXT")]
    filter: Option<String>,
    /// Write the results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run them again whenever a rule, a script, a fixture or the config changes, until interrupted.
    #[arg(long)]
    watch: bool,
    /// The ceiling for every rule, in the place of the config's `mode`: how they will do once that is another one.
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<Mode>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// Reads a mode by the word that the config has for it.
fn mode(text: &str) -> Result<Mode, String> {
    let all = [Mode::Off, Mode::DryRun, Mode::Approve, Mode::Auto];
    let known = || all.map(|mode| mode.to_string()).join(", ");
    all.into_iter().find(|mode| mode.to_string() == text).ok_or_else(|| format!("possible are: {}", known()))
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    passed: usize,
    failed: usize,
    tests: &'a [TestResult],
    /// Rules that no test names, with where they stand.
    untested: BTreeMap<&'a str, String>,
}

impl Test {
    pub(super) fn run(self, config: &Path) -> Exit {
        if self.watch { self.run_again_and_again(config) } else { self.run_once(config) }
    }

    fn run_once(&self, config: &Path) -> Exit {
        let mut config = match setup::config(config) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        config.mode = self.mode.unwrap_or(config.mode);
        // What lies in the rules folder is tested among all the rules that the daemon would load with it.
        let is_part = !self.paths.is_empty() && self.paths.iter().all(|path| lies_in(path, &config.rules));
        let whole = self.paths.is_empty() || is_part;
        let Loaded { set, tests, diagnostics, sources, .. } =
            if whole { load(&config, 1) } else { load_paths(&config, &self.paths) };
        setup::show(&diagnostics, &sources);
        let Some(rules) = set else {
            complain("the rules have errors, so no test was run");
            return Exit::No;
        };
        let settings = settings(&config, &Options::of_reader());
        let world = World {
            rules: &rules,
            settings: &settings,
            strict_ordering: config.strict_ordering,
            source: config.sources.first().map_or(NO_SOURCE, |source| source.name.as_str()),
            body_bytes_max: config.limits.body_bytes,
        };
        let suite = Suite::new(world, &tests);
        let is_chosen = |file: &Path| !is_part || self.paths.iter().any(|path| lies_in(file, path));
        let mut untested = suite.untested();
        untested.retain(|_, place| is_chosen(&place.file));

        let fixtures = Fixtures::default();
        let chosen = suite.tests().iter().filter(|test| is_chosen(&test.place.file) && self.wants(test));
        let results: Vec<TestResult> = chosen.map(|test| suite.run(test, &|file| fixtures.load(file))).collect();
        let failed = results.iter().filter(|result| !result.passed).count();
        let answer = Answer {
            passed: results.len() - failed,
            failed,
            tests: &results,
            untested: untested.iter().map(|(rule, place)| (*rule, place.to_string())).collect(),
        };
        self.tell(&answer, &config)
    }

    fn wants(&self, test: &TestCase) -> bool {
        self.filter.as_deref().is_none_or(|text| is_about(test, text))
    }

    fn tell(&self, answer: &Answer<'_>, config: &Config) -> Exit {
        match self.format {
            OutputFormat::Json => json(answer),
            OutputFormat::Human => human::show(answer),
        }
        if answer.failed > 0 && config.mode < Mode::Auto {
            let mode = config.mode;
            note(&format!("note: `mode: {mode}` is the ceiling for every rule in tests too; `--mode auto` lifts it"));
        }
        if let Some(file) = &self.junit
            && let Err(error) = std::fs::write(file, junit::xml(answer.tests))
        {
            complain(&format!("cannot write the results to {}: {error}", file.display()));
            return Exit::No;
        }
        if let Some(text) = self.filter.as_ref().filter(|_| answer.tests.is_empty()) {
            complain(&format!("no test has `{}` in its name or expects anything of such a rule", printable(text)));
            return Exit::No;
        }
        if answer.failed > 0 { Exit::No } else { Exit::Done }
    }
}

/// Whether `path` is `folder` or lies below it, whatever links lead there. What does not exist lies nowhere.
fn lies_in(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}
