//! `stanch reload`: the same as SIGHUP, with an answer.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::Exit;
use super::client::Client;
use super::output::{OutputFormat, note, say, show};
use crate::engine::Reloaded;

/// Read config, rules, scripts and secrets again: all or nothing.
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Also where more than half of the rules are gone.
    #[arg(long)]
    force: bool,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl Reload {
    pub(super) fn run(self, config: &Path) -> Exit {
        let asked = Client::new(config).and_then(|client| client.post("reload", &json!({ "force": self.force })));
        match asked {
            Ok(reloaded) => {
                show(self.format, &reloaded, |Reloaded { generation, rules, needs_restart }| {
                    let rules = if *rules == 1 { "1 rule is".to_owned() } else { format!("{rules} rules are") };
                    say(&format!("{rules} in force as set {generation}"));
                    if !needs_restart.is_empty() {
                        note(&format!("changed, but only a restart puts it into force: {}", needs_restart.join(", ")));
                    }
                });
                Exit::Done
            }
            Err(exit) => exit,
        }
    }
}
