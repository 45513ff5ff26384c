//! `stanch demo`: the whole main job on one machine, with nothing to set up and nothing left behind.
//!
//! It starts the same engine as `serve` in a temporary folder, pushes at it over HTTP as Flashduty would, and tells
//! what each push led to as the journal has it. It checks its own story: where anything went otherwise than told,
//! it says so and fails. With `--loop` it does so against a fake Flashduty, and tells what that one saw.

mod closed_loop;
mod folder;
mod stage;
mod story;
mod tell;

use std::path::Path;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::output::{complain, note, say};
use super::{Exit, setup};
use closed_loop::Vendor;
use folder::Folder;
use stage::Stage;

/// Show the whole main job on this machine: nothing to set up, nothing left behind.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Leave the server up until Ctrl-C, to try things.
    #[arg(long)]
    keep: bool,
    /// Show the loop with Flashduty instead, against a fake one: push, heal, check, comment, resolve.
    #[arg(long = "loop")]
    closed_loop: bool,
}

impl Demo {
    pub(super) fn run(self) -> Exit {
        let shown = setup::runtime().and_then(|runtime| runtime.block_on(self.show()));
        shown.err().unwrap_or(Exit::Done)
    }

    async fn show(self) -> Result<(), Exit> {
        let vendor = if self.closed_loop { Some(Vendor::start().await?) } else { None };
        let folder = match &vendor {
            Some(vendor) => vendor.folder(),
            None => Folder::make(),
        };
        let folder = folder.map_err(|error| {
            complain(&format!(
                "cannot make the demo's folder in {}: {error}; TMPDIR names another place",
                std::env::temp_dir().display()
            ));
            Exit::Internal
        })?;
        let stage = Stage::set(&folder).await?;
        tell::opening(folder.path(), stage.url());
        let told = async {
            match &vendor {
                Some(vendor) => closed_loop::tell(&stage, &folder, vendor).await,
                None => story::tell(&stage, &folder).await,
            }
        };
        let told = tokio::select! {
            told = told => told,
            interrupted = asked_to_stop() => interrupted.and(Err(Exit::No)),
        };
        let ended = match told {
            Ok(()) if self.keep => {
                tell::keeping(folder.path(), stage.url());
                asked_to_stop().await
            }
            told => told,
        };
        stage.strike().await;
        if ended.is_ok() {
            tell::closing(folder.path());
        }
        ended
    }
}

/// Resolves when a person, or the system, wants it to end.
async fn asked_to_stop() -> Result<(), Exit> {
    let fail = |error: std::io::Error| {
        complain(&format!("cannot listen for signals: {error}"));
        Exit::Internal
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    note("stopping");
    Ok(())
}

/// Our own program as whoever started it wrote it, so that the lines to copy work.
fn program() -> String {
    let written = std::env::args_os().next().unwrap_or_else(|| "stanch".into());
    shown(Path::new(&written))
}

fn shown(path: &Path) -> String {
    crate::report::printable(&path.display().to_string()).into_owned()
}

/// Begins a part of the output.
fn heading(text: &str) {
    let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    say("");
    say(&format!("{bold}{text}{reset}"));
}
