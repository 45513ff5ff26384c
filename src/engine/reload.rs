//! Reload: config, rules, scripts and secrets are read again and put into force together, or not at all.

use std::sync::Arc;

use super::Handle;
use super::decider::InForce;
use super::handle::Refusal;
use super::watcher::{Inputs, Seen, Stamp};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::report::redact::Redactor;
use crate::rule::RuleSet;
use crate::rule::diagnostic::{Format, render};
use crate::rule::load::Loaded;

/// What came into force.
#[derive(Debug, Clone, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
pub struct Reloaded {
    /// The number of the rule set.
    pub generation: u64,
    /// How many rules it has.
    pub rules: usize,
    /// What takes a restart to change, and was changed in the config.
    pub needs_restart: Vec<String>,
}

/// Why a reload was refused. What was in force stays so.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The config or the rules are invalid.
    #[error("the new configuration has errors:\n{0}")]
    Invalid(String),
    /// A secret or a listener's settings cannot be used.
    #[error("the new configuration cannot be used: {0}")]
    Unusable(String),
    /// Most rules are gone.
    #[error("only {now} of {before} rules are left: if that is meant, use `stanch reload --force`")]
    LostRules {
        /// How many there were.
        before: usize,
        /// How many there would be.
        now: usize,
    },
    /// The engine did not take it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A reload that was refused, kept until one succeeds: people should learn that what lies on disk is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedReload {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Reads config, rules and scripts, and says in what state the files were before.
fn read(last: &Seen, generation: u64) -> (Seen, Result<(Config, RuleSet), String>) {
    let stamp = Stamp::of(&last.config.file);
    let config = match crate::config::load::load(&last.config.file) {
        Ok(loaded) => loaded.config,
        Err(invalid) => {
            let fingerprint = Inputs::after(stamp, &last.config).fingerprint();
            let problems = render(Format::Human { colour: false }, &invalid.diagnostics, &invalid.sources);
            return (Seen { config: Arc::clone(&last.config), fingerprint }, Err(problems));
        }
    };
    let fingerprint = Inputs::after(stamp, &config).fingerprint();
    let seen = Seen { config: Arc::new(config.clone()), fingerprint };
    let Loaded { set, diagnostics, sources, .. } = crate::rule::load::load(&config, generation);
    let set = set.ok_or_else(|| render(Format::Human { colour: false }, &diagnostics, &sources));
    (seen, set.map(|set| (config, set)))
}

pub(super) async fn reload(handle: &Handle, force: bool) -> Result<Reloaded, ReloadError> {
    let before = handle.in_force();
    let last = handle.seen();
    let generation = before.rules.generation + 1;
    let reading = tokio::task::spawn_blocking(move || read(&last, generation));
    let (seen, read) = reading.await.map_err(|error| ReloadError::Unusable(error.to_string()))?;
    // Whatever becomes of it: it is not read again before something changes, or a person asks.
    handle.shared.seen.store(Arc::new(seen));
    let (config, rules) = read.map_err(ReloadError::Invalid)?;
    let (rules_before, rules_now) = (before.rules.rules.len(), rules.rules.len());
    if !force && rules_now * 2 < rules_before {
        return Err(ReloadError::LostRules { before: rules_before, now: rules_now });
    }
    let settings = super::setup::receiver_settings(&config, handle.options()).map_err(ReloadError::Unusable)?;
    let redactor: Redactor =
        super::setup::redactor_for(&config).map_err(|error| ReloadError::Unusable(error.to_string()))?;
    let client = super::flashduty::client(&config, &handle.shared.pace)
        .map_err(|error| ReloadError::Unusable(error.to_string()))?;

    #[cfg(feature = "otlp")]
    let target = config
        .traces
        .as_ref()
        .map(crate::report::traces::Target::of)
        .transpose()
        .map_err(|error| ReloadError::Unusable(error.to_string()))?;

    let old = handle.config();
    let needs_restart = [
        ("listen", old.listen != config.listen && handle.options().listen.is_none()),
        ("data", old.data != config.data),
        ("admin.socket", old.admin.socket != config.admin.socket),
        ("admin.listen", old.admin.listen != config.admin.listen),
        ("log", old.log != config.log),
        (
            "traces",
            old.traces.as_ref().map(|traces| traces.sample) != config.traces.as_ref().map(|traces| traces.sample),
        ),
        ("ordering", old.strict_ordering != config.strict_ordering),
    ];
    let needs_restart: Vec<String> =
        needs_restart.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()).collect();

    let in_force = InForce { settings: Arc::new(super::settings(&config, handle.options())), rules: Arc::new(rules) };
    let shared = &handle.shared;
    // The new secrets are hidden before anything can use them.
    shared.redactor.store(Arc::new(redactor));
    shared.client.store(client.clone());
    shared.runner.reconfigure(super::setup::action_settings(
        &config,
        handle.options(),
        shared.redactor.load_full(),
        client,
        shared.trace_ids.clone(),
    ));
    #[cfg(feature = "otlp")]
    if let (Some(shared), Some(target)) = (&shared.trace_target, target) {
        shared.store(Arc::new(target));
    }
    handle.put_in_force(in_force.clone()).await?;
    shared.report.in_force(&in_force.rules);
    shared.receiver_settings.store(Arc::new(settings));
    shared.in_force.store(Arc::new(in_force));
    shared.config.store(Arc::new(config));
    tracing::info!(generation, rules = rules_now, "reloaded");
    Ok(Reloaded { generation, rules: rules_now, needs_restart })
}
