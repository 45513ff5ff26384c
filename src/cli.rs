//! The command line: one file a command. What a library user would want is not here.

mod audit;
mod backtest;
mod backup;
mod catch_up;
mod check;
mod client;
mod completions;
mod demo;
mod doctor;
mod events;
mod exit;
mod explain;
mod init;
mod output;
mod pause;
mod payload;
mod reload;
mod runs;
mod schema;
mod send;
mod serve;
mod setup;
mod test;
mod top;

pub use exit::{EXIT_CODES, Exit};

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::action::exec_shim;

/// The word before which nothing but our own processes call us: sets up the account of a step, then becomes it.
const EXEC_WORD: &str = "__exec";

/// Where the package puts its config.
const INSTALLED_CONFIG: &str = "/etc/stanch/stanch.yaml";

/// An auto-remediation rule engine: takes Flashduty pushes, decides by rules, heals, and keeps record of it all.
#[derive(Debug, Parser)]
#[command(name = "stanch", version, max_term_width = 100)]
#[command(after_help = "Begin with `stanch demo`, or with `stanch init`.")]
pub struct Cli {
    /// The config file; `stanch.yaml` in this folder unless given, else the package's `/etc/stanch/stanch.yaml`.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Serve(serve::Serve),
    Check(check::Check),
    Test(test::Test),
    Explain(explain::Explain),
    Backtest(backtest::Backtest),
    Runs(runs::Runs),
    Events(events::Events),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Reload(reload::Reload),
    CatchUp(catch_up::CatchUp),
    Schema(schema::Schema),
    Send(send::Send),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Doctor(doctor::Doctor),
    Top(top::Top),
    Completions(completions::Completions),
    Man(completions::Man),
}

/// The config that is meant. Who is woken on the bastion stands in any folder and need not know where the config lies.
fn config_file(given: Option<PathBuf>) -> PathBuf {
    let (here, installed) = (PathBuf::from("stanch.yaml"), PathBuf::from(INSTALLED_CONFIG));
    given.unwrap_or_else(|| if !here.exists() && installed.exists() { installed } else { here })
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|word| word == EXEC_WORD) {
        return exec(args.skip(1));
    }
    let cli = match Cli::try_parse_from(with_bare_config(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nothing can be said where even this cannot be printed.
            error.print().ok();
            return exit.into();
        }
    };
    let config = config_file(cli.config);
    let exit = match cli.command {
        Command::Demo(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Serve(command) => command.run(&config),
        Command::Check(command) => command.run(&config),
        Command::Test(command) => command.run(&config),
        Command::Explain(command) => command.run(&config),
        Command::Backtest(command) => command.run(&config),
        Command::Runs(command) => command.run(&config),
        Command::Events(command) => command.run(&config),
        Command::Pause(command) => command.run(&config),
        Command::Resume(command) => command.run(&config),
        Command::Reload(command) => command.run(&config),
        Command::CatchUp(command) => command.run(&config),
        Command::Schema(command) => command.run(),
        Command::Send(command) => command.run(&config),
        Command::Audit(command) => command.run(&config),
        Command::Backup(command) => command.run(&config),
        Command::Restore(command) => command.run(&config),
        Command::Doctor(command) => command.run(&config),
        Command::Top(command) => command.run(&config),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    exit.into()
}

/// Everywhere `--config FILE` names the config, but `stanch schema --config` asks for the schema of one. A file that
/// follows is taken for what it is everywhere else.
fn with_bare_config(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_schema = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| args.get(before));
        args.get(*at).is_some_and(|word| word == "schema")
            && !before.is_some_and(|word| word == "-c" || word == "--config")
    };
    let Some(schema) = (1..args.len()).find(is_schema) else { return args };
    let is_bare = |at: &usize| {
        args.get(*at).is_some_and(|word| word == "--config")
            && args.get(at + 1).is_none_or(|next| next.as_encoded_bytes().starts_with(b"-"))
    };
    if let Some(bare) = (schema + 1..args.len()).find(is_bare)
        && let Some(word) = args.get_mut(bare)
    {
        *word = "--of-config".into();
    }
    args
}

/// Becomes the program of a step, or says on standard error why it cannot.
fn exec(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Err(error) = exec_shim::Exec::parse(args).and_then(|exec| exec_shim::run(&exec));
    output::complain(&error.to_string());
    ExitCode::from(exec_shim::EXIT_CANNOT_EXEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows_the_schema_of_the_config(line: &str) -> Option<bool> {
        let args = with_bare_config(line.split(' ').map(OsString::from).collect());
        match Cli::try_parse_from(args).ok()?.command {
            Command::Schema(schema) => Some(schema.is_of_config()),
            _ => None,
        }
    }

    #[test]
    fn a_config_without_a_file_asks_for_the_schema_of_one() {
        for line in [
            "stanch schema --config",
            "stanch schema --config -c a.yaml",
            "stanch schema -c a.yaml --config",
            "stanch -c a.yaml schema --config",
        ] {
            assert_eq!(shows_the_schema_of_the_config(line), Some(true), "{line}");
        }
        for line in
            ["stanch schema", "stanch schema -c a.yaml", "stanch schema --config a.yaml", "stanch -c schema schema"]
        {
            assert_eq!(shows_the_schema_of_the_config(line), Some(false), "{line}");
        }
        assert_eq!(shows_the_schema_of_the_config("stanch check --config"), None);
    }
}
