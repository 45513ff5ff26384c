//! `run`: a program with its arguments, exactly as they are. No shell is involved.

use super::process::{Order, Starter};
use super::{Attempt, failed};
use crate::journal::record::StepResult;
use crate::plan::RunCall;

pub(super) async fn act(starter: &Starter, call: &RunCall, attempt: &Attempt<'_>) -> StepResult {
    let Some((_, args)) = call.argv.split_first() else {
        return failed("cannot start a program: its argument list is empty");
    };
    let files = call.files.clone();
    // Reading files can take its time, on a network file system for instance.
    let checked = tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.verify())).await;
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(distrust)) => return failed(format!("cannot start {}: {distrust}", call.program.display())),
        Err(error) => return failed(format!("cannot check {}: {error}", call.program.display())),
    }
    starter.run(Order { program: &call.program, args: args.to_vec(), call: &call.process }, attempt).await
}
