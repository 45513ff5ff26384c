//! `stanch schema`: JSON Schema of rule files and config, for editors.

use clap::Args;

use super::Exit;
use super::output::say;
use crate::rule::schema;

/// Print the JSON Schema of rule files, for editors.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Print that of the config instead; `--config` without a file does the same.
    #[arg(long)]
    of_config: bool,
}

impl Schema {
    /// Whether it is the schema of the config.
    #[cfg(test)]
    pub(super) fn is_of_config(&self) -> bool {
        self.of_config
    }

    pub(super) fn run(self) -> Exit {
        let schema = if self.of_config { schema::config() } else { schema::rules() };
        say(schema::text(&schema).trim_end());
        Exit::Done
    }
}
