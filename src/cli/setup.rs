//! Reading config and rules for a command, and saying what is wrong with them.

use std::path::Path;

use super::Exit;
use super::output::{complain, hide_secrets_of, note, wants_colour};
use crate::config::Config;
use crate::rule::diagnostic::{Diagnostic, Format, Severity, Sources, render};
use crate::rule::load::{Loaded, load};

/// Reads the config, or says every problem of it.
pub(super) fn config(path: &Path) -> Result<Config, Exit> {
    match crate::config::load::load(path) {
        Ok(loaded) => {
            hide_secrets_of(&loaded.config);
            show(&loaded.warnings, &loaded.sources);
            Ok(loaded.config)
        }
        Err(invalid) => {
            show(&invalid.diagnostics, &invalid.sources);
            Err(Exit::Config)
        }
    }
}

/// Reads rules and scripts as the daemon does, or says every problem of them.
pub(super) fn rules(config: &Config) -> Result<crate::rule::RuleSet, Exit> {
    let Loaded { set, diagnostics, sources, .. } = load(config, 1);
    show(&diagnostics, &sources);
    set.ok_or_else(|| {
        complain("the rules have errors, so nothing was started; `stanch check` shows them again");
        Exit::Config
    })
}

/// Shows diagnostics on standard error.
pub(super) fn show(diagnostics: &[Diagnostic], sources: &Sources) {
    if !diagnostics.is_empty() {
        note(render(Format::Human { colour: wants_colour() }, diagnostics, sources).trim_end());
    }
}

/// How many of each severity.
pub(super) fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// A runtime for commands that talk over a socket.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        complain(&format!("cannot start the runtime: {error}"));
        Exit::Internal
    })
}
