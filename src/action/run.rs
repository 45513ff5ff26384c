//! `run`: a program with its arguments, exactly as they are. No shell is involved.

use super::process::{Manner, Order, Starter};
use super::{Attempt, failed};
use crate::journal::record::StepResult;
use crate::plan::RunCall;

pub(super) async fn act(starter: &Starter, call: &RunCall, attempt: &Attempt<'_>) -> StepResult {
    let Some((_, args)) = call.argv.split_first() else {
        return failed("cannot start a program: its argument list is empty");
    };
    let order = Order { program: &call.program, args: args.to_vec(), call: &call.process, manner: Manner::Step };
    starter.run(order, attempt).await
}
