//! How the engine is started, and what its parts need of the config and of that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::error::StartError;
use super::watcher::Fingerprint;
use crate::config::Config;
use crate::decide::Settings;
use crate::guard::GuardSettings;
use crate::report::flashduty::Client;
use crate::report::logging::SharedRedactor;
use crate::report::redact::Redactor;
use crate::report::traces::TraceIds;
use crate::rule::Mode;
use crate::{action, receiver};

/// How the engine is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nothing is executed, whatever the rules and the config say.
    pub dry_run: bool,
    /// Listens here instead of where the config says.
    pub listen: Option<SocketAddr>,
    /// The path of our own binary, for steps that need it to set up their process.
    pub own_binary: PathBuf,
    /// Hides secrets in log lines and records; filled at start with those of the config.
    pub redactor: SharedRedactor,
    /// The state in which the files of the config and the rules were before these were read; `None` where that is
    /// taken to be their state at start.
    pub read_from: Option<Fingerprint>,
    /// Called again and again while a start that takes long goes on, as that on a large journal does.
    pub working: fn(),
}

impl Options {
    /// The options under which a command that only reads looks at things: as a plain `serve` would.
    pub fn of_reader() -> Self {
        let redactor = Arc::new(ArcSwap::from_pointee(Redactor::none()));
        Self { dry_run: false, listen: None, own_binary: PathBuf::new(), redactor, read_from: None, working: || {} }
    }
}

/// What the core needs of the config and the command line.
pub fn settings(config: &Config, options: &Options) -> Settings {
    let ceiling = if options.dry_run { Mode::DryRun } else { Mode::Auto };
    Settings {
        ceiling: config.mode.min(ceiling),
        guards: GuardSettings {
            budgets: config.budgets.clone(),
            schedules: config.schedules.clone(),
            runs_max: u32::try_from(config.limits.runs).unwrap_or(u32::MAX),
        },
    }
}

pub(super) fn action_settings(
    config: &Config,
    options: &Options,
    redactor: Arc<Redactor>,
    flashduty: Option<Arc<Client>>,
    traces: Option<Arc<TraceIds>>,
) -> action::Settings {
    action::Settings {
        output_bytes: config.limits.output_bytes,
        http_allow: config.http_allow.clone(),
        flashduty,
        run_link: config.flashduty.as_ref().and_then(|flashduty| flashduty.run_link.clone()),
        redactor,
        own_program: options.own_binary.clone(),
        isolation: action::Isolation {
            limits: config.limits.step,
            cgroups: action::process::Cgroups::find(&config.data),
        },
        ssh: action::SshSettings::of(config),
        traces,
    }
}

/// The receiver's settings, for the address that is really listened on: a source without authentication is refused
/// where `--listen` opens it to others, as it is where the config does.
pub(super) fn receiver_settings(config: &Config, options: &Options) -> Result<receiver::Settings, String> {
    let listen = options.listen.unwrap_or(config.listen);
    let config = Config { listen, ..config.clone() };
    let settings = receiver::Settings::from_config(&config).map_err(|errors| lines(&errors))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// A redactor for every secret that the config names.
pub(super) fn redactor_for(config: &Config) -> Result<Redactor, StartError> {
    let secrets: Result<Vec<_>, _> = config.secrets().into_iter().map(|secret| secret.resolve()).collect();
    let secrets = secrets.map_err(|error| StartError::Secret(error.to_string()))?;
    Redactor::new(secrets.iter().map(|secret| secret.expose())).map_err(|error| StartError::Secret(error.to_string()))
}

/// A redactor for those secrets of the config that whoever runs this may read, for commands beside the daemon.
pub fn redactor_as_far_as_readable(config: &Config) -> Redactor {
    let secrets: Vec<_> = config.secrets().into_iter().filter_map(|secret| secret.resolve().ok()).collect();
    // Without a search nothing is hidden, and the command would be of no less use.
    Redactor::new(secrets.iter().map(|secret| secret.expose())).unwrap_or_default()
}

fn lines<T: ToString>(errors: &[T]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unguarded_source_cannot_be_opened_by_an_option() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stanch.yaml");
        std::fs::write(&file, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
        let config = crate::config::load::load(&file).unwrap().config;
        let listening = |listen: Option<&str>| {
            let options = Options { listen: listen.map(|addr| addr.parse().unwrap()), ..Options::of_reader() };
            receiver_settings(&config, &options)
        };
        assert!(listening(None).is_ok());
        assert!(listening(Some("[::1]:0")).is_ok());
        let refused = listening(Some("0.0.0.0:0")).unwrap_err();
        assert!(refused.contains("auth: none"), "{refused}");
    }
}
