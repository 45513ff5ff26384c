//! `shell`: a script for `/bin/sh -eu`. The script is a literal of the rule; data reaches it in the environment.

use std::path::Path;

use super::Attempt;
use super::process::{Manner, Order, Starter};
use crate::journal::record::StepResult;
use crate::plan::ShellCall;

/// The shell, by its absolute path: it must not be looked up in a `PATH` that a step declares.
const SHELL: &str = "/bin/sh";

pub(super) async fn act(starter: &Starter, call: &ShellCall, attempt: &Attempt<'_>) -> StepResult {
    // `--` keeps a script that begins with `-` from being read as an option.
    let args = ["-euc", "--", &call.script].map(str::to_owned).to_vec();
    let order = Order { program: Path::new(SHELL), args, call: &call.process, manner: Manner::Step };
    starter.run(order, attempt).await
}
