//! `stanch completions` and `stanch man`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::{complain, say};
use super::{Cli, Exit};

/// Print the completions for a shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Exit {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "stanch", &mut text);
        say(String::from_utf8_lossy(&text).trim_end());
        Exit::Done
    }
}

/// Print the man page.
#[derive(Debug, Args)]
pub(super) struct Man {}

impl Man {
    pub(super) fn run(self) -> Exit {
        let mut text = Vec::new();
        match clap_mangen::Man::new(Cli::command()).render(&mut text) {
            Ok(()) => {
                say(String::from_utf8_lossy(&text).trim_end());
                Exit::Done
            }
            Err(error) => {
                complain(&format!("the man page cannot be written: {error}"));
                Exit::Internal
            }
        }
    }
}
