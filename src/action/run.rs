//! `run`: a program with its arguments, exactly as they are. No shell is involved.

use std::sync::Arc;

use super::process::{Manner, Order, Starter};
use super::{Attempt, failed};
use crate::journal::record::StepResult;
use crate::plan::RunCall;
use crate::rule::trust::Sealed;

pub(super) async fn act(starter: &Starter, call: &RunCall, attempt: &Attempt<'_>) -> StepResult {
    let Some((_, args)) = call.argv.split_first() else {
        return failed("cannot start a program: its argument list is empty");
    };
    if let Err(why) = unchanged(&call.files).await {
        return failed(format!("cannot start {}: {why}", call.program.display()));
    }
    let order = Order { program: &call.program, args: args.to_vec(), call: &call.process, manner: Manner::Step };
    starter.run(order, attempt).await
}

/// Whether the files of a step are what they were when the rules were loaded; else why it must not start.
async fn unchanged(files: &[Arc<Sealed>]) -> Result<(), String> {
    if files.is_empty() {
        return Ok(());
    }
    let files = files.to_vec();
    // Reading them can take its time, on a network file system for instance.
    let checked = tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.verify())).await;
    match checked {
        Ok(checked) => checked.map_err(|distrust| distrust.to_string()),
        Err(error) => Err(format!("its files could not be checked: {error}")),
    }
}
