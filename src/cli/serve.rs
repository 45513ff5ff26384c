//! `stanch serve`: the daemon.

mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::output::complain;
use super::{Exit, setup};
use crate::admin;
use crate::engine::{Engine, Failure, Inputs, Options, Stamp, StartError};
use crate::report::logging;
use crate::report::redact::Redactor;

/// What stopping may take beyond the grace time of runs: ending trees that resist, recording that, and closing.
const ENDING: Duration = Duration::from_secs(20);

/// How long work that blocks a thread may go on when all else has ended. It is told to stop, and does so at once where it
/// does not hang.
const LEFT_OVER: Duration = Duration::from_secs(2);

/// Run the daemon.
///
/// SIGHUP reloads. SIGTERM and SIGINT stop: nothing new starts, and what runs gets `limits.grace` to end. A second one
/// ends what still runs at once; it is recorded as interrupted.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Decide and record everything, execute nothing.
    #[arg(long)]
    dry_run: bool,
    /// Listen here instead of where the config says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self, config: &Path) -> Exit {
        let runtime = match setup::runtime() {
            Ok(runtime) => runtime,
            Err(exit) => return exit,
        };
        let served = runtime.block_on(self.serve(config));
        // The journal is closed: whatever still reads for somebody who asked is not worth waiting for.
        runtime.shutdown_timeout(LEFT_OVER);
        served.err().unwrap_or(Exit::Done)
    }

    async fn serve(self, config: &Path) -> Result<(), Exit> {
        let services = crate::action::nss::services_out_of_reach();
        if !services.is_empty() {
            let why = format!(
                "this stanch is one static file with glibc inside, which dies of the name services that \
                 /etc/nsswitch.conf names for `hosts`: {}. Take the package, a build with musl, or `hosts: files dns`",
                services.join(", ")
            );
            return Err(fail(&why, Exit::Config));
        }
        // The state of the files is taken before they are read, so that a change meanwhile is noticed.
        let stamp = Stamp::of(config);
        let config = setup::config(config)?;
        let read_from = Some(Inputs::after(stamp, &config).fingerprint());
        let rules = setup::rules(&config)?;
        let redactor = Arc::new(ArcSwap::from_pointee(Redactor::none()));
        let _logging = logging::init(&config.log, Arc::clone(&redactor)).map_err(|error| fail(&error, Exit::Config))?;
        // What whoever started the daemon left open would reach every program that a rule starts.
        let closed = crate::action::process::close_inherited();
        if !closed.is_empty() {
            tracing::debug!(?closed, "inherited descriptors were closed");
        }
        if let Err(error) = crate::action::process::forbid_core_dumps() {
            tracing::warn!(%error, "core dumps cannot be forbidden; they could hold secrets");
        }
        let own_binary = own_binary()?;
        let (dry_run, listen, working) = (self.dry_run, self.listen, service::starting as fn());
        let options = Options { dry_run, listen, own_binary, redactor, read_from, working };
        let admin = config.admin.clone();
        let (count, mode) = (rules.rules.len(), config.mode);
        // Taken up before anything starts, so that no signal in between ends the process unasked.
        let mut signals = Signals::new().map_err(|error| fail(&error.to_string(), Exit::Internal))?;
        let mut engine = Engine::start(config, rules, options).await.map_err(|error| fail_start(&error))?;
        let handle = engine.handle();
        let (stop_admin, stopping) = watch::channel(false);
        let served = match admin::serve(&admin, handle.clone(), stopping).await {
            Ok(served) => served,
            Err(error) => {
                engine.stop(Duration::ZERO, std::future::pending()).await;
                return Err(fail(&error.to_string(), Exit::Config));
            }
        };
        let (webhook, socket) = (engine.webhook(), served.socket.display().to_string());
        tracing::info!(%webhook, socket, rules = count, %mode, dry_run = self.dry_run, "stanch is ready");
        service::ready(&format!("{count} rules, mode {mode}, listening on {webhook}"));
        let alive = tokio::spawn(service::keep_alive(handle.clone()));
        let failed = loop {
            tokio::select! {
                failure = engine.failed() => break Some(failure),
                () = signals.stop.next() => break None,
                _ = signals.hangup.recv() => handle.ask_to_reload(),
            }
        };
        tracing::info!("stanch is stopping");
        let grace = handle.config().limits.grace;
        // After the grace time trees are ended, and that is recorded.
        service::stopping(grace + ENDING);
        alive.abort();
        stop_admin.send_replace(true);
        // Whoever asks a second time does not want to wait for what still runs.
        let at_once = async {
            signals.stop.next().await;
            tracing::warn!("asked to stop again: what still runs is ended now");
        };
        engine.stop(grace, at_once).await;
        served.ended().await;
        match failed {
            None => Ok(()),
            Some(failure @ Failure::Journal(_)) => Err(fail(&failure.to_string(), Exit::Journal)),
            Some(failure @ Failure::Defect(_)) => Err(fail(&failure.to_string(), Exit::Internal)),
        }
    }
}

struct Signals {
    stop: Stops,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let stop = Stops { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

/// The signals that ask to stop.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Resolves at the next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The path of our own binary, which sets up the processes of steps that ask for an account.
pub(super) fn own_binary() -> Result<PathBuf, Exit> {
    std::env::current_exe()
        .map_err(|error| fail(&format!("cannot tell where our own binary is: {error}"), Exit::Internal))
}

fn fail(message: &str, exit: Exit) -> Exit {
    complain(message);
    exit
}

fn fail_start(error: &StartError) -> Exit {
    let exit = match error {
        StartError::Store(_) | StartError::Refused(_) | StartError::Recovery(_) => Exit::Journal,
        StartError::Receiver(_) | StartError::Secret(_) | StartError::Listen { .. } => Exit::Config,
        StartError::Runner(_) => Exit::Internal,
    };
    fail(&error.to_string(), exit)
}
